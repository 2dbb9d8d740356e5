"""Finds out why Kafka cannot be used, in words for an operator.

A client of aiokafka reports only that it could reach no server. So each server is tried again with
the same encryption and credentials, and then the brokers that it names in its answer.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable, Iterable

from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import (
    BrokerResponseError,
    IllegalSaslStateError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.metadata import MetadataRequest

from govid.bus.kafka.addresses import KafkaAddress
from govid.bus.kafka.client_lifecycle import close_connection
from govid.bus.kafka.clients import KafkaClientFactory
from govid.bus.kafka.errors import OpeningTimeout, TlsFilesInvalid, TokenUnavailable
from govid.bus.kafka.tls import CA_SETTING
from govid.bus.settings import KafkaSecurity
from govid.bus.shared.tls_failures import describe_refused_certificate

log = logging.getLogger(__name__)

CONNECT_SECONDS = 1
"""How long to wait for a connection to be opened and encrypted."""
ANSWER_SECONDS = 6.0
"""How long to wait for the answers on it, and for an access token."""
REPORT_SECONDS = 2.0
"""How often a server looks for the reason of an outage."""


async def describe_outage(clients: KafkaClientFactory) -> str:
    """Return why Kafka is not available to *clients*, after an attempt has failed."""
    why = await explain_outage(clients)
    if why is None:
        return f"Kafka at {clients.servers} was not available, and is now"
    return f"no Kafka answers at {why}"


async def explain_outage(clients: KafkaClientFactory) -> str | None:
    """Return for each server why *clients* cannot use it; None if one of them can be used."""
    reasons = []
    for address in clients.addresses:
        reason = await _try_server(clients, address)
        if reason is None:
            return None
        reasons.append(f"{address} ({reason})")
    return ", ".join(reasons)


async def _try_server(clients: KafkaClientFactory, address: KafkaAddress) -> str | None:
    """Try *address* and the brokers that it names; return why none of them can be used."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            connection = await _connect(clients, address)
            try:
                answer = await connection.send(MetadataRequest([]))
            finally:
                await close_connection(connection)
            if not answer.brokers and clients.security.uses_tokens:
                # aiokafka takes the refusal of a token for the end of the authentication, and the
                # broker answers the next request without content.
                return "it refuses the access token"
            return await _try_brokers(
                clients, {KafkaAddress(host, port) for _, host, port, *_ in answer.brokers}, address
            )
    except (OSError, KafkaError, UnicodeError) as error:
        if isinstance(error, SaslAuthenticationFailed):
            clients.note_refusal()
        return _describe_error(error, clients.security)


async def _try_brokers(
    clients: KafkaClientFactory, brokers: Iterable[KafkaAddress], server: KafkaAddress
) -> str | None:
    """Return why none of *brokers* can be used; clients use these and not the first address."""
    reasons = []
    for broker in sorted(brokers, key=str):
        if broker == server:
            return None
        try:
            connection = await _connect(clients, broker)
        except (OSError, KafkaError, UnicodeError) as error:
            reasons.append(f"{broker}: {_describe_error(error, clients.security)}")
        else:
            await close_connection(connection)
            return None
    return f"it names brokers that cannot be used: {', '.join(reasons)}" if reasons else None


async def _connect(clients: KafkaClientFactory, address: KafkaAddress) -> AIOKafkaConnection:
    return await clients.connect(
        address, timeout_ms=int(ANSWER_SECONDS * 1000), open_ms=CONNECT_SECONDS * 1000
    )


def _describe_error(error: BaseException, security: KafkaSecurity) -> str:
    """Return what *error* means, and the setting that may be wrong."""
    match error:
        case TlsFilesInvalid():
            return str(error)
        case TokenUnavailable():
            return error.reason
        case ssl.SSLError():
            return _describe_tls(error)
        case KafkaError() | ConnectionResetError():
            return _describe_refusal(error, security)
    return _describe_network(error)


def _describe_network(error: BaseException) -> str:
    match error:
        case OpeningTimeout():
            return f"no connection within {CONNECT_SECONDS} s"
        case TimeoutError():
            return f"no answer within {ANSWER_SECONDS:g} s"
        case ConnectionRefusedError():
            return "connection refused"
        case socket.gaierror() | UnicodeError():
            return "its name is not known"
    # A name with several addresses raises one error for all of them.
    return "no connection"


def _describe_refusal(error: BaseException, security: KafkaSecurity) -> str:
    """Return why a server refuses a client, or that it speaks another protocol."""
    match error:
        case UnsupportedSaslMechanismError():
            return f"it does not offer GOVID_KAFKA_SASL_MECHANISM={security.sasl_mechanism}"
        case SaslAuthenticationFailed():
            return "it refuses GOVID_KAFKA_SASL_USERNAME or its password"
        case IllegalSaslStateError():
            return "it does not authenticate by SASL (GOVID_KAFKA_SECURITY_PROTOCOL)"
        case BrokerResponseError():
            return f"it answers with {type(error).__name__}"
    return (
        f"it does not answer as Kafka does with GOVID_KAFKA_SECURITY_PROTOCOL={security.protocol}"
        f"{_client_certificate_hint(security)}"
    )


def _client_certificate_hint(security: KafkaSecurity) -> str:
    """Return what else may be wrong: a broker refuses a client certificate by hanging up."""
    if not security.is_encrypted:
        return ""
    if security.certificate_file is None:
        return "; if it demands a client certificate, set GOVID_KAFKA_SSL_CERTIFICATE_FILE"
    return (
        "; it may not trust the authority of GOVID_KAFKA_SSL_CERTIFICATE_FILE, or that "
        "certificate may have expired"
    )


def _describe_tls(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return describe_refused_certificate(error, CA_SETTING)
    if error.reason == "WRONG_VERSION_NUMBER":
        return "it does not speak TLS (GOVID_KAFKA_SECURITY_PROTOCOL)"
    if error.reason and "CERTIFICATE" in error.reason:
        return "it does not accept the client certificate (GOVID_KAFKA_SSL_CERTIFICATE_FILE)"
    return "TLS negotiation failed"


class OutageReporter:
    """Logs why Kafka is unavailable, as long as it is."""

    def __init__(self, clients: KafkaClientFactory, is_down: Callable[[], bool]) -> None:
        """Try the connections of *clients* whenever *is_down*."""
        self._clients = clients
        self._is_down = is_down

    async def run(self) -> None:
        """Log each new reason, until cancelled."""
        logged: str | None = None
        while True:
            await asyncio.sleep(max(REPORT_SECONDS, self._clients.retry_seconds))
            reason = await explain_outage(self._clients) if self._is_down() else None
            # It may be available again by now: then the reason says nothing.
            if self._is_down() and reason not in {None, logged}:
                log.warning("kafka.outage_explained", extra={"reason": reason})
                logged = reason
            elif not self._is_down():
                logged = None

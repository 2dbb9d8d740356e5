"""The Kafka service on a broker that demands TLS and credentials."""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from govid.bus import BusSettings, Database
from govid.bus.events import Topic
from govid.bus.kafka.clients import REFUSED_SECONDS, KafkaClientFactory
from govid.bus.kafka.errors import TokenUnavailable
from govid.bus.kafka.oauth import OAuthTokenProvider
from govid.bus.kafka.outage import describe_outage, explain_outage
from govid.bus.kafka.permissions import find_missing_permissions
from govid.bus.kafka.topic_reader import open_reader
from govid.bus.kafka.topics import required_topics
from govid.bus.settings import KafkaSecurity
from govid.bus.shared.secret_source import SecretSource, WatchedSecret
from tests.backends import kafka_jars
from tests.backends.certificates import CertificateFolder
from tests.backends.kafka_secured import PASSWORD, USER, SecuredBroker, secured
from tests.conftest import unavailable
from tests.kafka.conftest import on
from tests.kafka.fixtures import KafkaFixture, a_request, wait_until
from tests.kafka.token_endpoint import CLIENT_SECRET, TokenEndpoint, serving

pytestmark = pytest.mark.kafka

WAYS = ("SCRAM-SHA-512", "PLAIN", "OAUTHBEARER", "client certificate")
NOTICE = b'{"userId":"019d0000-0000-7000-8000-000000000001","timestamp":"2026-01-01T00:00:00Z"}'


@pytest.fixture(scope="module")
def endpoint() -> Iterator[TokenEndpoint]:
    """Return a token endpoint that answers."""
    with serving() as listening:
        yield listening


@pytest.fixture(scope="module")
def broker(
    tmp_path_factory: pytest.TempPathFactory, endpoint: TokenEndpoint
) -> Iterator[SecuredBroker]:
    """Return a broker with all mechanisms, open to every client that authenticates."""
    if why_not := kafka_jars.missing():
        unavailable(f"no secured Kafka: {why_not}")
    with secured(
        tmp_path_factory.mktemp("broker"),
        mechanisms="SCRAM-SHA-512,PLAIN,OAUTHBEARER",
        jwks_url=endpoint.jwks_url,
    ) as started:
        yield started


def connection(way: str, broker: SecuredBroker, endpoint: TokenEndpoint) -> tuple[str, Any]:
    """Return the address and the settings with which govid connects in this *way*."""
    if way == "client certificate":
        return broker.mutual_address, broker.mutual_security()
    if way == "OAUTHBEARER":
        return broker.address, KafkaSecurity(
            protocol="SASL_SSL",
            ca_file=broker.certificates.authority,
            sasl_mechanism="OAUTHBEARER",
            oauth_token_url=endpoint.token_url,
            oauth_client_id=USER,
            oauth_client_secret=SecretSource(value=CLIENT_SECRET),
        )
    return broker.address, broker.security(sasl_mechanism=way)


@asynccontextmanager
async def running(
    bus_settings: BusSettings, address: str, security: KafkaSecurity
) -> AsyncIterator[KafkaFixture]:
    """Run a replica that connects to *address* with *security*."""
    settings = msgspec.structs.replace(on(address, bus_settings), kafka_security=security)
    async with Database(settings) as database, KafkaFixture(settings, database).run() as replica:
        yield replica


@pytest.mark.parametrize("way", WAYS)
async def test_every_client_connects_and_authenticates(
    way: str, broker: SecuredBroker, endpoint: TokenEndpoint, bus_settings: BusSettings
) -> None:
    address, security = connection(way, broker, endpoint)
    async with running(bus_settings, address, security) as replica:
        await replica.wait_until_healthy()
        await replica.emit(a_request(uuid4()))
        await replica.wait_until_drained()
        assert len(await replica.read(Topic.VERIFICATION_REQUEST, 1)) == 1
        async with replica.external_producer() as producer:
            await producer.send_and_wait(
                replica.wire_name(Topic.DEATH_NOTIFICATION), b"no notice", key=b"k"
            )
        # The inbox read it, and the producer of dead letters copied it.
        await replica.read(f"{replica.wire_name(Topic.DEATH_NOTIFICATION)}.dlq", 1)
        async with open_reader(replica.clients) as reader:
            present = await reader.fetch_partition_counts()
            retention = await reader.fetch_retention([replica.wire_name(Topic.DEATH_NOTIFICATION)])
    assert {*required_topics(replica.settings)} <= {*present}
    assert len(retention) == 1


CASES = {
    "the authority is another one": (
        "its certificate is not trusted; GOVID_KAFKA_SSL_CA_FILE has to contain the authority that "
        "issued it"
    ),
    "the file of the authority is missing": (
        "the file of GOVID_KAFKA_SSL_CA_FILE cannot be read (No such file or directory)"
    ),
    "the password is another one": "it refuses GOVID_KAFKA_SASL_USERNAME or its password",
    "TLS without SASL": (
        "it does not answer as Kafka does with GOVID_KAFKA_SECURITY_PROTOCOL=SSL; if it demands a "
        "client certificate, set GOVID_KAFKA_SSL_CERTIFICATE_FILE"
    ),
    "plaintext": ("it does not answer as Kafka does with GOVID_KAFKA_SECURITY_PROTOCOL=PLAINTEXT"),
    "the token endpoint is down": "its token endpoint does not answer",
    "the token endpoint fails": "its token endpoint answers with status 503",
    "the client secret is another one": (
        "its token endpoint refuses GOVID_KAFKA_OAUTH_CLIENT_ID or its secret"
    ),
    "the token is for another audience": "it refuses the access token",
}


def broken(
    case: str, broker: SecuredBroker, endpoint: TokenEndpoint, folder: Path
) -> KafkaSecurity:
    """Return settings with the fault *case*."""
    _, token = connection("OAUTHBEARER", broker, endpoint)
    replace = msgspec.structs.replace
    return {
        "the authority is another one": lambda: broker.security(
            ca_file=CertificateFolder(folder).authority
        ),
        "the file of the authority is missing": lambda: broker.security(ca_file=folder / "none"),
        "the password is another one": lambda: broker.security(
            sasl_password=SecretSource(value="another")
        ),
        "TLS without SASL": lambda: broker.security(protocol="SSL"),
        "plaintext": KafkaSecurity,
        "the token endpoint is down": lambda: replace(
            token, oauth_token_url="https://127.0.0.1:1/token"
        ),
        "the token endpoint fails": lambda: token,
        "the client secret is another one": lambda: replace(
            token, oauth_client_secret=SecretSource(value="another")
        ),
        "the token is for another audience": lambda: token,
    }[case]()


@pytest.mark.parametrize("case", CASES)
async def test_a_refused_connection_is_explained(
    case: str,
    broker: SecuredBroker,
    endpoint: TokenEndpoint,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if case == "the token endpoint fails":
        monkeypatch.setattr(endpoint, "status", 503)
    if case == "the token is for another audience":
        monkeypatch.setattr(endpoint, "audience", "another")
    clients = KafkaClientFactory(broker.address, broken(case, broker, endpoint, tmp_path))
    assert await describe_outage(clients) == f"no Kafka answers at {broker.address} ({CASES[case]})"


async def test_a_connection_that_works_needs_no_explanation(broker: SecuredBroker) -> None:
    assert await explain_outage(KafkaClientFactory(broker.address, broker.security())) is None


async def test_tls_to_a_plaintext_server_is_explained(broker: SecuredBroker) -> None:
    clients = KafkaClientFactory(broker.admin_address, broker.security())
    why = await explain_outage(clients)
    assert why is not None
    assert "GOVID_KAFKA_SECURITY_PROTOCOL" in why


@pytest.mark.parametrize(
    ("hosts", "days", "reason"),
    [
        (
            (),
            {"from_day": -3, "until_day": -1},
            "its certificate has expired; renew it on the server",
        ),
        (
            (),
            {"from_day": 1, "until_day": 3},
            "its certificate is not valid yet; compare the clocks of both machines",
        ),
        (
            ("kafka.example",),
            {},
            "its certificate is for another name; connect by a name that it contains",
        ),
    ],
)
async def test_a_server_certificate_that_cannot_be_used_is_explained(
    tmp_path: Path, hosts: tuple[str, ...], days: dict[str, int], reason: str
) -> None:
    folder = CertificateFolder(tmp_path)
    files = folder.issue("server", *hosts, **days)
    async with tls_server(files) as address:
        security = KafkaSecurity(protocol="SSL", ca_file=folder.authority)
        assert await explain_outage(KafkaClientFactory(address, security)) == (
            f"{address} ({reason})"
        )


async def test_a_client_certificate_that_the_broker_does_not_trust_is_explained(
    broker: SecuredBroker, tmp_path: Path
) -> None:
    foreign = CertificateFolder(tmp_path).issue("govid")
    security = broker.mutual_security(certificate_file=foreign.certificate, key_file=foreign.key)
    why = await explain_outage(KafkaClientFactory(broker.mutual_address, security))
    assert why is not None
    assert "GOVID_KAFKA_SSL_CERTIFICATE_FILE" in why


@asynccontextmanager
async def tls_server(files: Any) -> AsyncIterator[str]:
    """Yield the address of a server that only negotiates TLS, with the certificate of *files*."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(files.certificate, files.key)

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", ssl=context)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_a_changed_password_is_used_without_a_restart(
    broker: SecuredBroker,
    bus_settings: BusSettings,
    tmp_path: Path,
) -> None:
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\n")
    security = broker.security(sasl_password=SecretSource(file=file))
    async with running(bus_settings, broker.address, security) as replica:
        await replica.wait_until_healthy()
        broker.set_password("a new password")
        try:
            file.write_text("a new password\n")
            # The clients are replaced, so they authenticate again, now with the new password.
            await wait_until(lambda: replaced(replica))
            await replica.emit(a_request(uuid4()))
            await replica.wait_until_drained()
            async with replica.external_producer() as producer:
                await producer.send_and_wait(
                    replica.wire_name(Topic.DEATH_NOTIFICATION), b"no notice", key=b"k"
                )
            await replica.read(f"{replica.wire_name(Topic.DEATH_NOTIFICATION)}.dlq", 1)
        finally:
            broker.set_password(PASSWORD)


async def replaced(replica: KafkaFixture) -> bool:
    """Tell whether the producer of events has been replaced, and its successor is connected."""
    producer = replica.kafka._event_producer
    return producer.rebuild_count > 0 and producer.current is not None


async def test_a_replaced_client_certificate_is_used_without_a_restart(
    broker: SecuredBroker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    certificate, key = tmp_path / "client.crt", tmp_path / "client.key"
    security = broker.mutual_security(certificate_file=certificate, key_file=key)
    certificate.write_bytes(broker.client.certificate.read_bytes())
    key.write_bytes(broker.client.key.read_bytes())
    clients = KafkaClientFactory(broker.mutual_address, security)
    caplog.set_level(logging.INFO, "govid")
    assert await explain_outage(clients) is None
    # Half replaced: the last pair that fits stays in force.
    other = broker.certificates.issue("other")
    key.write_bytes(other.key.read_bytes())
    assert await explain_outage(clients) is None
    (record,) = [r for r in caplog.records if r.message == "kafka.certificates_not_loaded"]
    assert record.reason == (
        "the key of GOVID_KAFKA_SSL_KEY_FILE does not fit the certificate of "
        "GOVID_KAFKA_SSL_CERTIFICATE_FILE"
    )
    certificate.write_bytes(other.certificate.read_bytes())
    assert await explain_outage(clients) is None
    assert caplog.records[-1].message == "kafka.certificates_loaded"
    # A process that starts with files that do not fit reports it.
    key.write_bytes(broker.client.key.read_bytes())
    why = await explain_outage(KafkaClientFactory(broker.mutual_address, security))
    assert why is not None
    assert "does not fit the certificate" in why


async def test_an_outage_is_logged_with_its_reason(
    broker: SecuredBroker, bus_settings: BusSettings, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = broker.security(sasl_password=SecretSource(value="another"))
    async with running(bus_settings, broker.address, wrong) as replica:

        async def explained() -> bool:
            return any(one.message == "kafka.outage_explained" for one in caplog.records)

        await wait_until(explained)
        assert replica.kafka.health_state() == "down"
    (record,) = [one for one in caplog.records if one.message == "kafka.outage_explained"]
    assert record.reason == (
        f"{broker.address} (it refuses GOVID_KAFKA_SASL_USERNAME or its password)"
    )
    assert not any(PASSWORD in one.getMessage() for one in caplog.records)


async def test_a_refused_password_is_not_repeated_without_a_pause(broker: SecuredBroker) -> None:
    wrong = broker.security(sasl_password=SecretSource(value="another"))
    clients = KafkaClientFactory(broker.address, wrong)
    assert clients.retry_seconds == 0
    assert await explain_outage(clients) is not None
    assert clients.retry_seconds == REFUSED_SECONDS


async def test_refused_client_credentials_are_not_repeated_without_a_pause(
    broker: SecuredBroker, endpoint: TokenEndpoint
) -> None:
    _, security = connection("OAUTHBEARER", broker, endpoint)
    wrong = msgspec.structs.replace(security, oauth_client_secret=SecretSource(value="another"))
    provider = OAuthTokenProvider(wrong, WatchedSecret(wrong.oauth_client_secret))
    before = endpoint.asked
    for _ in range(20):
        with pytest.raises(TokenUnavailable):
            await provider.token()
    assert endpoint.asked == before + 1


async def test_a_changed_client_secret_is_used_for_the_next_token(
    broker: SecuredBroker, endpoint: TokenEndpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, security = connection("OAUTHBEARER", broker, endpoint)
    file = tmp_path / "secret"
    file.write_text(f"{CLIENT_SECRET}\n")
    secret = WatchedSecret(SecretSource(file=file))
    provider = OAuthTokenProvider(security, secret)
    # Each token has expired when it arrives, so that none is used twice.
    monkeypatch.setattr(endpoint, "life_seconds", 0)
    before = endpoint.asked
    first = await provider.token()
    monkeypatch.setattr(endpoint, "client_secret", "the next secret")
    file.write_text("the next secret\n")
    # The thread that watches files calls this.
    secret.refresh()
    secret.refresh()
    second = await provider.token()
    assert ("." in first, "." in second, endpoint.asked) == (True, True, before + 2)


async def test_the_acls_are_asked_for_at_any_server_that_answers(
    broker: SecuredBroker, bus_settings: BusSettings
) -> None:
    servers = f"127.0.0.1:1,{broker.address}"
    clients = KafkaClientFactory(servers, broker.security())
    assert await find_missing_permissions(on(servers, bus_settings), clients) == []

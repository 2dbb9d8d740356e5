"""Creates every client of Kafka, all with the same servers, encryption and credentials.

    clients = KafkaClientFactory.from_settings(settings)
    consumer = clients.create_consumer(client_id="govid-inbox")

The files of certificates and passwords may be replaced while govid runs: a thread looks at them
(`start_watching`), so that no file delays the event loop. Certificates are used for the next
connection of any client. A password is part of a client: once it has changed,
`has_current_credentials` is false and the owner of the client replaces it.
"""

import threading
from contextlib import suppress
from typing import Any
from weakref import WeakKeyDictionary

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.conn import AIOKafkaConnection

from govid.bus.kafka.addresses import KafkaAddress, parse_addresses
from govid.bus.kafka.client_lifecycle import close_connection
from govid.bus.kafka.errors import OpeningTimeout, TlsFilesInvalid
from govid.bus.kafka.tls import ReloadingTlsContext
from govid.bus.settings import BusSettings, KafkaSecurity
from govid.bus.shared.secret_source import WatchedSecret

WATCH_SECONDS = 2.0
REFUSED_SECONDS = 30.0
"""The pause between attempts with a password that Kafka has refused."""


class _BoundedConnection(AIOKafkaConnection):  # type: ignore[misc]  # no types
    """A connection with one limit for its opening and another for each answer.

    The library has one for both.
    """

    def __init__(self, *address: Any, answer_seconds: float, **options: Any) -> None:
        super().__init__(*address, **options)
        self._answer_seconds = answer_seconds
        self.is_open = False

    async def _do_version_lookup(self) -> None:
        """Send the first request, for which the connection has to be open."""
        self.is_open = True
        self._request_timeout = self._answer_seconds
        await super()._do_version_lookup()


class KafkaClientFactory:
    """Creates clients of one Kafka cluster."""

    def __init__(self, servers: str, security: KafkaSecurity | None = None) -> None:
        """Connect to *servers* (`host:port`, several with commas); without *security* in plaintext.

        Nothing is connected or read here.
        """
        self.servers = servers
        self.security = security or KafkaSecurity()
        self._password = WatchedSecret(self.security.sasl_password)
        self._oauth_secret = WatchedSecret(self.security.oauth_client_secret)
        self._options: dict[str, Any] = {"security_protocol": self.security.protocol}
        if self.security.is_encrypted:
            self._options["ssl_context"] = ReloadingTlsContext(self.security)
        if self.security.uses_sasl:
            self._options["sasl_mechanism"] = self.security.sasl_mechanism
        if self.security.uses_tokens:
            # Imported here, because the HTTP client takes as long to load as all of aiokafka.
            from govid.bus.kafka.oauth import OAuthTokenProvider  # noqa: PLC0415

            self._options["sasl_oauth_token_provider"] = OAuthTokenProvider(
                self.security, self._oauth_secret
            )
        self._passwords: WeakKeyDictionary[object, str] = WeakKeyDictionary()
        self._refused_password: str | None = None
        self._stop = threading.Event()

    @classmethod
    def from_settings(cls, settings: BusSettings) -> "KafkaClientFactory":
        """Return the factory for the Kafka of *settings*."""
        return cls(settings.kafka_bootstrap_servers, settings.kafka_security)

    @property
    def addresses(self) -> list[KafkaAddress]:
        """The servers to begin with."""
        return parse_addresses(self.servers)

    def start_watching(self) -> None:
        """Look at the files of certificates and secrets every two seconds, in a thread.

        It is no worker of the event loop: a file system that does not answer may hold it for ever.
        """
        threading.Thread(target=self._watch, name="kafka files", daemon=True).start()

    def stop_watching(self) -> None:
        """Let the thread end."""
        self._stop.set()

    def _watch(self) -> None:
        while not self._stop.wait(WATCH_SECONDS):
            self._password.refresh()
            self._oauth_secret.refresh()
            if (context := self._options.get("ssl_context")) is not None:
                with suppress(TlsFilesInvalid):
                    context.load_files()

    @property
    def retry_seconds(self) -> float:
        """How long to wait before another attempt, 0 unless Kafka has refused the password.

        Many refused attempts could lock the user out.
        """
        refused = self._refused_password
        return REFUSED_SECONDS if refused is not None and refused == self._read_password() else 0.0

    def note_refusal(self) -> None:
        """Remember that Kafka refuses the present password."""
        self._refused_password = self._read_password()

    def create_producer(self, **options: Any) -> AIOKafkaProducer:
        """Create a producer with *options* of aiokafka; the caller starts it."""
        return self._create(AIOKafkaProducer, options)

    def create_consumer(self, **options: Any) -> AIOKafkaConsumer:
        """Create a consumer of no topic yet, with *options* of aiokafka; the caller starts it."""
        return self._create(AIOKafkaConsumer, options)

    def create_admin(self, **options: Any) -> AIOKafkaAdminClient:
        """Create a client for topics and their settings; the caller starts it."""
        return self._create(AIOKafkaAdminClient, options)

    async def connect(
        self, address: KafkaAddress, *, timeout_ms: int, open_ms: int | None = None
    ) -> AIOKafkaConnection:
        """Open one connection to *address* and authenticate; the caller closes it.

        Each answer has to arrive within *timeout_ms*; the connection, TLS included, has to be open
        within *open_ms*, or else the same time.

        Raises:
            TlsFilesInvalid: the certificate files cannot be used.
            OpeningTimeout: the connection was not open in time.
            OSError, KafkaError, TimeoutError: other errors, which a client would only log.
        """
        if (context := self._options.get("ssl_context")) is not None:
            context.load_files()
        connection = _BoundedConnection(
            address.host,
            address.port,
            answer_seconds=timeout_ms / 1000,
            request_timeout_ms=open_ms or timeout_ms,
            **self._options,
            **self._read_credentials(),
        )
        try:
            await connection.connect()
        except BaseException as error:
            await close_connection(connection)
            if isinstance(error, TimeoutError) and not connection.is_open:
                raise OpeningTimeout from error
            raise
        return connection

    def has_current_credentials(self, client: object) -> bool:
        """Return whether *client*, created here, has the present password."""
        return self._passwords.get(client, "") == self._read_password()

    def _create(self, kind: Any, options: dict[str, Any]) -> Any:
        credentials = self._read_credentials()
        client = kind(bootstrap_servers=self.servers, **self._options, **credentials, **options)
        self._passwords[client] = credentials.get("sasl_plain_password", "")
        return client

    def _read_credentials(self) -> dict[str, str]:
        if not self.security.uses_password:
            return {}
        return {
            "sasl_plain_username": self.security.sasl_username or "",
            "sasl_plain_password": self._read_password(),
        }

    def _read_password(self) -> str:
        """Return the last usable password, or none if there never was one: Kafka refuses that."""
        if not self.security.uses_password:
            return ""
        try:
            return self._password.read()
        except OSError:
            return ""

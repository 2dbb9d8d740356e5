"""Creates every client of Kafka, all with the same servers, encryption and credentials.

    clients = KafkaClientFactory.from_settings(settings)
    consumer = clients.create_consumer(client_id="govid-inbox")

The files of certificates and passwords may be replaced while govid runs. Certificates are loaded
again for the next connection of any client. A password is part of a client: once it has changed,
`has_current_credentials` is false and the owner of the client replaces it.
"""

from typing import Any
from weakref import WeakKeyDictionary

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.conn import AIOKafkaConnection

from govid.bus.kafka.addresses import KafkaAddress, parse_addresses
from govid.bus.kafka.client_lifecycle import close_connection
from govid.bus.kafka.tls import ReloadingTlsContext
from govid.bus.settings import BusSettings, KafkaSecurity


class KafkaClientFactory:
    """Creates clients of one Kafka cluster."""

    def __init__(self, servers: str, security: KafkaSecurity | None = None) -> None:
        """Connect to *servers* (`host:port`, several with commas); without *security* in plaintext.

        Nothing is connected or read here.
        """
        self.servers = servers
        self.security = security or KafkaSecurity()
        self._options: dict[str, Any] = {"security_protocol": self.security.protocol}
        if self.security.is_encrypted:
            self._options["ssl_context"] = ReloadingTlsContext(self.security)
        if self.security.uses_sasl:
            self._options["sasl_mechanism"] = self.security.sasl_mechanism
        if self.security.uses_tokens:
            # Imported here, because the HTTP client takes as long to load as all of aiokafka.
            from govid.bus.kafka.oauth import OAuthTokenProvider  # noqa: PLC0415

            self._options["sasl_oauth_token_provider"] = OAuthTokenProvider(self.security)
        self._passwords: WeakKeyDictionary[object, str] = WeakKeyDictionary()

    @classmethod
    def from_settings(cls, settings: BusSettings) -> "KafkaClientFactory":
        """Return the factory for the Kafka of *settings*."""
        return cls(settings.kafka_bootstrap_servers, settings.kafka_security)

    @property
    def addresses(self) -> list[KafkaAddress]:
        """The servers to begin with."""
        return parse_addresses(self.servers)

    def create_producer(self, **options: Any) -> AIOKafkaProducer:
        """Create a producer with *options* of aiokafka; the caller starts it."""
        return self._create(AIOKafkaProducer, options)

    def create_consumer(self, **options: Any) -> AIOKafkaConsumer:
        """Create a consumer of no topic yet, with *options* of aiokafka; the caller starts it."""
        return self._create(AIOKafkaConsumer, options)

    def create_admin(self, **options: Any) -> AIOKafkaAdminClient:
        """Create a client for topics and their settings; the caller starts it."""
        return self._create(AIOKafkaAdminClient, options)

    async def connect(self, address: KafkaAddress, *, timeout_ms: int) -> AIOKafkaConnection:
        """Open one connection to *address* and authenticate; the caller closes it.

        Raises:
            TlsFilesInvalid: the certificate files cannot be used.
            OSError, KafkaError, TimeoutError: other errors, which a client would only log.
        """
        if (context := self._options.get("ssl_context")) is not None:
            context.load_files()
        connection = AIOKafkaConnection(
            address.host,
            address.port,
            request_timeout_ms=timeout_ms,
            **self._options,
            **self._read_credentials(),
        )
        try:
            await connection.connect()
        except BaseException:
            await close_connection(connection)
            raise
        return connection

    def has_current_credentials(self, client: object) -> bool:
        """Return whether *client*, created here, has the present password."""
        try:
            return self._passwords.get(client, "") == self._read_password()
        except OSError:
            return True  # Nothing better can be had.

    def _create(self, kind: Any, options: dict[str, Any]) -> Any:
        credentials = self._read_credentials()
        client = kind(bootstrap_servers=self.servers, **self._options, **credentials, **options)
        self._passwords[client] = credentials.get("sasl_plain_password", "")
        return client

    def _read_credentials(self) -> dict[str, str]:
        if not self.security.uses_password:
            return {}
        try:
            password = self._read_password()
        except OSError:
            # Kafka refuses it, and `describe_outage` reports the file.
            password = ""
        return {
            "sasl_plain_username": self.security.sasl_username or "",
            "sasl_plain_password": password,
        }

    def _read_password(self) -> str:
        return self.security.sasl_password.read() if self.security.uses_password else ""

"""The settings of the bus."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from govid.bus.events import Topic
from govid.bus.shared.privacy import RedactedStruct
from govid.bus.shared.secret_source import SecretSource

KafkaProtocol = Literal["PLAINTEXT", "SSL", "SASL_SSL"]
KafkaMechanism = Literal["SCRAM-SHA-512", "PLAIN", "OAUTHBEARER"]


class KafkaSecurity(RedactedStruct, frozen=True, kw_only=True):
    """How connections to Kafka are encrypted, and how govid authenticates there.

    The values are those of Kafka's own clients (`security.protocol`, `sasl.mechanism`). All files
    may be replaced while govid runs.
    """

    protocol: KafkaProtocol = "PLAINTEXT"
    ca_file: Path | None = None
    """The authorities to trust (PEM); without it those of the operating system."""
    certificate_file: Path | None = None
    """The client certificate and its chain (PEM); None if Kafka demands none."""
    key_file: Path | None = None
    """The key of the client certificate; None if it is in the certificate file."""
    key_password: SecretSource = SecretSource()
    sasl_mechanism: KafkaMechanism = "SCRAM-SHA-512"
    sasl_username: str | None = None
    sasl_password: SecretSource = SecretSource()
    oauth_token_url: str | None = None
    oauth_client_id: str | None = None
    oauth_client_secret: SecretSource = SecretSource()
    oauth_scope: str | None = None

    @property
    def is_encrypted(self) -> bool:
        """Whether connections use TLS."""
        return self.protocol != "PLAINTEXT"

    @property
    def uses_sasl(self) -> bool:
        """Whether govid authenticates by SASL."""
        return self.protocol == "SASL_SSL"

    @property
    def uses_password(self) -> bool:
        """Whether govid authenticates by a user name and a password."""
        return self.uses_sasl and self.sasl_mechanism != "OAUTHBEARER"

    @property
    def uses_tokens(self) -> bool:
        """Whether govid authenticates by OAuth access tokens."""
        return self.uses_sasl and self.sasl_mechanism == "OAUTHBEARER"

    @property
    def tls_files(self) -> tuple[Path, ...]:
        """The files of certificates and keys, and of the password of a key."""
        files = (self.ca_file, self.certificate_file, self.key_file, self.key_password.file)
        return tuple(file for file in files if file is not None)


class AuditSettings(RedactedStruct, frozen=True, kw_only=True):
    """Settings of the audit log. An empty key is for tests: production refuses it."""

    key: bytes = b""
    old_keys: tuple[bytes, ...] = ()
    origin: str = "localhost/audit"
    """The name of the log in its checkpoints, and of the keys that sign them."""
    organisation: str = "govid"
    """The organisation whose staff read data, as citizens see it."""
    checkpoint_file: Path | None = None
    entry_years: int = 7
    login_days: int = 30
    """How long personal data of login attempts is kept."""
    request_days: int = 90
    """How long the network address and the correlation id of other requests are kept."""


class BusSettings(RedactedStruct, frozen=True, kw_only=True):
    """Settings of the bus. Durations are in seconds."""

    database_url: str
    kafka_bootstrap_servers: str
    kafka_client_id: str = "govid"
    kafka_security: KafkaSecurity = KafkaSecurity()
    kafka_prefix: str = ""
    """The prefix of all topic names, so that installations can share a cluster."""
    kafka_generation: str = ""
    """Identifies one run of a broker without storage (the in-memory one of `govid dev`)."""
    topic_names: Mapping[Topic, str] = {}
    """Topic names in Kafka that differ from those of the contract."""
    pseudonym_key: bytes
    request_pool_size: int = 10
    bus_pool_size: int = 8
    read_pool_size: int = 4
    bus_read_pool_size: int = 4
    lease_seconds: float = 15
    poll_seconds: float = 1
    max_concurrent_keys: int = 8
    batch_size: int = 200
    relay_batch_size: int = 500
    max_attempts: int = 8
    max_crashes: int = 3
    """How often one event, processed in isolation, may crash a process before its key is parked."""
    backoff_limit_seconds: float = 300
    topic_partitions: int = 4
    """How many partitions a topic gets when govid creates it."""
    replication_factor: int | None = None
    """Replicas of topics that govid creates; None for 3, or as many brokers as there are."""
    min_insync_replicas: int | None = None
    """Replicas that have to store a record of such a topic; None for 2, if it has 3 replicas."""
    topic_check_seconds: float = 30
    """How often the topics are checked, so that a deleted one is created again."""
    retention_days: float = 90
    kafka_retention_days: float = 7
    """How long Kafka retains records. govid retains receipts and inbox rows at least as long."""
    audit: AuditSettings = AuditSettings()

    @property
    def row_retention_days(self) -> float:
        """For how many days events, receipts and inbox rows are retained."""
        return max(self.retention_days, self.kafka_retention_days)

    @property
    def inbox_group(self) -> str:
        """The consumer group of the inbox, which all replicas share."""
        return f"{self.kafka_client_id}.inbox"

    def wire_name(self, topic: Topic) -> str:
        """Return the name of *topic* in Kafka."""
        return self.kafka_prefix + self.topic_names.get(topic, topic.value)

"""Where Kafka is, what its topics are called, and how long events are kept."""

from pydantic import BaseModel, SecretStr

from govid.gateway.settings.environment.lists import KafkaServers
from govid.gateway.settings.environment.naming import named


class Events(BaseModel):
    """Settings of the bus."""

    kafka_bootstrap_servers: KafkaServers = named(
        None,
        "GOVID_KAFKA_BOOTSTRAP_SERVERS",
        "KAFKA_BOOTSTRAP_SERVERS",
        doc="Kafka: host:port, several with commas",
    )
    kafka_client_id: str = named(
        "govid", "GOVID_KAFKA_CLIENT_ID", "KAFKA_CLIENT_ID", doc="Name of govid at the brokers"
    )
    kafka_prefix: str = named(
        "",
        "GOVID_KAFKA_PREFIX",
        doc="Begins the names of topics, clients and consumer group, for installations that share "
        "a cluster",
        pattern=r"^[A-Za-z0-9._-]{0,100}$",
    )
    kafka_allow_plaintext: bool = named(
        False, "GOVID_KAFKA_ALLOW_PLAINTEXT", doc="Let `govid serve` speak to Kafka without TLS"
    )
    kafka_generation: str = named(
        "", "GOVID_KAFKA_GENERATION", doc="One life of a broker that forgets; `govid dev` sets it"
    )
    kafka_topic_partitions: int = named(
        4, "GOVID_KAFKA_TOPIC_PARTITIONS", doc="Partitions of a topic that govid creates", ge=1
    )
    verification_request_topic: str = named(
        "identity.verification.request",
        "GOVID_VERIFICATION_REQUEST_TOPIC",
        "IDENTITY_VERIFICATION_REQUEST_TOPIC",
        doc="Name of this topic in Kafka",
    )
    verification_result_topic: str = named(
        "identity.verification.result",
        "GOVID_VERIFICATION_RESULT_TOPIC",
        "IDENTITY_VERIFICATION_RESULT_TOPIC",
        doc="Name of this topic in Kafka",
    )
    death_notification_topic: str = named(
        "hmrc.death.notification",
        "GOVID_DEATH_NOTIFICATION_TOPIC",
        "HMRC_DEATH_NOTIFICATION_TOPIC",
        doc="Name of this topic in Kafka",
    )
    kafka_retention_days: float = named(
        7, "GOVID_KAFKA_RETENTION_DAYS", doc="How long Kafka keeps records", gt=0
    )
    retention_days: float = named(
        90,
        "GOVID_RETENTION_DAYS",
        doc="How long events and receipts are kept; never shorter than Kafka keeps its records",
        gt=0,
    )
    pseudonym_key: SecretStr | None = named(
        None,
        "GOVID_PSEUDONYM_KEY",
        doc="Hides identifiers in keys: 32 bytes or more, kept for ever",
    )
    old_pseudonym_keys: SecretStr | None = named(
        None,
        "GOVID_OLD_PSEUDONYM_KEYS",
        doc="Earlier pseudonym keys, newest first, with commas: see `govid keys status`",
    )

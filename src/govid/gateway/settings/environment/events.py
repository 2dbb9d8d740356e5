"""Environment variables of the bus: Kafka, topic names, retention and pseudonym keys."""

from pydantic import BaseModel, SecretStr

from govid.gateway.settings.environment.lists import KafkaServerList
from govid.gateway.settings.environment.naming import setting_field


class EventVariables(BaseModel):
    """Variables of the bus."""

    kafka_bootstrap_servers: KafkaServerList = setting_field(
        None,
        "GOVID_KAFKA_BOOTSTRAP_SERVERS",
        "KAFKA_BOOTSTRAP_SERVERS",
        doc="Kafka servers: host:port, several with commas",
    )
    kafka_client_id: str = setting_field(
        "govid", "GOVID_KAFKA_CLIENT_ID", "KAFKA_CLIENT_ID", doc="Client id of govid at the brokers"
    )
    kafka_prefix: str = setting_field(
        "",
        "GOVID_KAFKA_PREFIX",
        doc="Prefix of the names of topics, clients and consumer group, for installations that "
        "share a cluster",
        pattern=r"^[A-Za-z0-9._-]{0,100}$",
    )
    kafka_allow_plaintext: bool = setting_field(
        False,
        "GOVID_KAFKA_ALLOW_PLAINTEXT",
        doc="Allow `govid serve` to connect to Kafka without TLS",
    )
    kafka_generation: str = setting_field(
        "", "GOVID_KAFKA_GENERATION", doc="Id of one run of an in-memory broker; set by `govid dev`"
    )
    kafka_topic_partitions: int = setting_field(
        4, "GOVID_KAFKA_TOPIC_PARTITIONS", doc="Partitions of each topic that govid creates", ge=1
    )
    verification_request_topic: str = setting_field(
        "identity.verification.request",
        "GOVID_VERIFICATION_REQUEST_TOPIC",
        "IDENTITY_VERIFICATION_REQUEST_TOPIC",
        doc="Name of the topic of verification requests in Kafka",
    )
    verification_result_topic: str = setting_field(
        "identity.verification.result",
        "GOVID_VERIFICATION_RESULT_TOPIC",
        "IDENTITY_VERIFICATION_RESULT_TOPIC",
        doc="Name of the topic of verification results in Kafka",
    )
    death_notification_topic: str = setting_field(
        "hmrc.death.notification",
        "GOVID_DEATH_NOTIFICATION_TOPIC",
        "HMRC_DEATH_NOTIFICATION_TOPIC",
        doc="Name of the topic of death notifications in Kafka",
    )
    kafka_retention_days: float = setting_field(
        7, "GOVID_KAFKA_RETENTION_DAYS", doc="Days that Kafka keeps records", gt=0
    )
    retention_days: float = setting_field(
        90,
        "GOVID_RETENTION_DAYS",
        doc="Days that events and receipts are kept; never shorter than Kafka keeps its records",
        gt=0,
    )
    pseudonym_key: SecretStr | None = setting_field(
        None,
        "GOVID_PSEUDONYM_KEY",
        doc="Key of the pseudonyms of identifiers: 32 bytes or more, never to be lost",
    )
    old_pseudonym_keys: SecretStr | None = setting_field(
        None,
        "GOVID_OLD_PSEUDONYM_KEYS",
        doc="Earlier pseudonym keys, newest first, separated by commas: see `govid keys status`",
    )

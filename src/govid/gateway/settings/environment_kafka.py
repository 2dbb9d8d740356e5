"""The environment variables of Kafka."""

from pathlib import Path

from pydantic import BaseModel, SecretStr

from govid.bus.settings import KafkaMechanism, KafkaProtocol
from govid.gateway.settings.fields import KafkaServerList, setting_field


class KafkaVariables(BaseModel):
    """Variables of the connection to Kafka, and of topics that govid creates."""

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
    kafka_security_protocol: KafkaProtocol = setting_field(
        "PLAINTEXT",
        "GOVID_KAFKA_SECURITY_PROTOCOL",
        doc="How to connect: PLAINTEXT, SSL (TLS) or SASL_SSL (TLS and a user or a token)",
    )
    kafka_ca_file: Path | None = setting_field(
        None,
        "GOVID_KAFKA_SSL_CA_FILE",
        doc="Authorities that sign the certificates of Kafka (PEM; default: the system's)",
    )
    kafka_certificate_file: Path | None = setting_field(
        None,
        "GOVID_KAFKA_SSL_CERTIFICATE_FILE",
        doc="Client certificate and its chain (PEM), if Kafka demands one",
    )
    kafka_key_file: Path | None = setting_field(
        None,
        "GOVID_KAFKA_SSL_KEY_FILE",
        doc="Key of the client certificate (PEM), if it is in a file of its own",
    )
    kafka_key_password: SecretStr | None = setting_field(
        None, "GOVID_KAFKA_SSL_KEY_PASSWORD", doc="Password of that key, if it is encrypted"
    )
    kafka_sasl_mechanism: KafkaMechanism = setting_field(
        "SCRAM-SHA-512",
        "GOVID_KAFKA_SASL_MECHANISM",
        doc="How to authenticate with SASL_SSL: SCRAM-SHA-512, PLAIN or OAUTHBEARER",
    )
    kafka_sasl_username: str | None = setting_field(
        None, "GOVID_KAFKA_SASL_USERNAME", doc="User at Kafka, for SCRAM-SHA-512 and PLAIN"
    )
    kafka_sasl_password: SecretStr | None = setting_field(
        None, "GOVID_KAFKA_SASL_PASSWORD", doc="Password of that user"
    )
    kafka_oauth_token_url: str | None = setting_field(
        None,
        "GOVID_KAFKA_OAUTH_TOKEN_URL",
        doc="Token endpoint for OAUTHBEARER (client credentials)",
    )
    kafka_oauth_client_id: str | None = setting_field(
        None, "GOVID_KAFKA_OAUTH_CLIENT_ID", doc="Client id of govid at the token endpoint"
    )
    kafka_oauth_client_secret: SecretStr | None = setting_field(
        None, "GOVID_KAFKA_OAUTH_CLIENT_SECRET", doc="Client secret of govid there"
    )
    kafka_oauth_scope: str | None = setting_field(
        None, "GOVID_KAFKA_OAUTH_SCOPE", doc="Scope to request there, if Kafka needs one"
    )
    kafka_allow_plaintext: bool = setting_field(
        False,
        "GOVID_KAFKA_ALLOW_PLAINTEXT",
        doc="Allow `govid serve` to connect to Kafka without TLS",
    )
    kafka_generation: str = setting_field(
        "", "GOVID_KAFKA_GENERATION", doc="Id of one run of an in-memory broker; set by `govid dev`"
    )
    topic_partitions: int = setting_field(
        4, "GOVID_KAFKA_TOPIC_PARTITIONS", doc="Partitions of each topic that govid creates", ge=1
    )
    replication_factor: int | None = setting_field(
        None,
        "GOVID_KAFKA_REPLICATION_FACTOR",
        doc="Replicas of topics that govid creates (default: 3, or one per broker)",
        ge=1,
        le=32,
    )
    min_insync_replicas: int | None = setting_field(
        None,
        "GOVID_KAFKA_MIN_INSYNC_REPLICAS",
        doc="Replicas that must store a record of such a topic (default: 2 of 3)",
        ge=1,
        le=32,
    )
    kafka_retention_days: float = setting_field(
        7, "GOVID_KAFKA_RETENTION_DAYS", doc="Days that Kafka keeps records", gt=0
    )

"""The settings of the bus."""

from collections.abc import Mapping

from govid.bus.events import Topic
from govid.bus.shared.privacy import RedactedStruct


class BusSettings(RedactedStruct, frozen=True, kw_only=True):
    """Settings of the bus. Durations are in seconds."""

    database_url: str
    kafka_bootstrap_servers: str
    kafka_client_id: str = "govid"
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
    topic_check_seconds: float = 30
    """How often the topics are checked, so that a deleted one is created again."""
    retention_days: float = 90
    kafka_retention_days: float = 7
    """How long Kafka retains records. govid retains receipts and inbox rows at least as long."""

    @property
    def row_retention_days(self) -> float:
        """For how many days events, receipts and inbox rows are retained."""
        return max(self.retention_days, self.kafka_retention_days)

    def wire_name(self, topic: Topic) -> str:
        """Return the name of *topic* in Kafka."""
        return self.kafka_prefix + self.topic_names.get(topic, topic.value)

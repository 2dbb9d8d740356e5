"""What the bus can be told."""

from collections.abc import Mapping

import msgspec

from govid.bus.contracts import Topic


class BusSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the bus. Durations are in seconds."""

    database_url: str
    kafka_bootstrap_servers: str
    kafka_client_id: str = "govid"
    kafka_prefix: str = ""
    """What the names of topics begin with, so that installations can share a cluster."""
    kafka_generation: str = ""
    """Tells one life of a broker that forgets (the in-memory one of `govid dev`) from the next."""
    topic_names: Mapping[Topic, str] = {}
    """Names on the wire, where they differ from the contract's."""
    pseudonym_key: bytes
    request_pool_size: int = 10
    bus_pool_size: int = 8
    read_pool_size: int = 4
    bus_read_pool_size: int = 4
    lease_seconds: float = 15
    poll_seconds: float = 1
    keys_at_a_time: int = 8
    batch_size: int = 200
    relay_batch_size: int = 500
    max_attempts: int = 8
    max_crashes: int = 3
    """How often a process may die of one event, run alone, before its key is parked."""
    backoff_limit_seconds: float = 300
    topic_partitions: int = 4
    """How many partitions a topic gets when govid creates it."""
    topic_look_seconds: float = 30
    """How often the topics are looked for, so that one that was deleted is created again."""
    retention_days: float = 90
    kafka_retention_days: float = 7
    """How long Kafka keeps records; as long, govid has to know what it has seen and sent."""

    def __repr__(self) -> str:
        """Show nothing: a URL may hold a password, and the key is one (I11)."""
        return "<BusSettings>"

    @property
    def kept_days(self) -> float:
        """For how many days events, receipts and what came in are kept."""
        return max(self.retention_days, self.kafka_retention_days)

    def wire_name(self, topic: Topic) -> str:
        """Return what *topic* is called in Kafka."""
        return self.kafka_prefix + self.topic_names.get(topic, topic.value)

"""Runs an in-memory Kafka for `govid dev`: the mock cluster of librdkafka's own tests.

It speaks the real protocol on a real port and loses all records when the process ends. Order,
durability and rebalancing cannot be tested with it.
"""

import secrets
from types import ModuleType, TracebackType
from typing import Any, Self

from govid.gateway.devserver.errors import CannotStart

ANSWER_SECONDS = 5


class MockKafka:
    """A cluster of one broker in threads of this process, so that it cannot outlive the process."""

    def __init__(self) -> None:
        """Prepare a cluster; `__enter__` starts it."""
        self.bootstrap_servers = ""
        self.generation = secrets.token_hex(8)
        self._client: Any = None

    def __enter__(self) -> Self:
        """Start the cluster and read its address.

        Raises:
            CannotStart: the library is not installed, or the cluster does not answer.
        """
        library = _library()
        # This client only creates the cluster; its own address is not used.
        self._client = library.Producer(
            {"bootstrap.servers": "mock", "test.mock.num.brokers": 1, "log_level": 2}
        )
        try:
            brokers = self._client.list_topics(timeout=ANSWER_SECONDS).brokers
        except library.KafkaException as error:
            raise CannotStart(
                "the in-memory Kafka did not start.",
                "Set GOVID_KAFKA_BOOTSTRAP_SERVERS to a real one, for example 127.0.0.1:9092.",
            ) from error
        self.bootstrap_servers = ",".join(f"{b.host}:{b.port}" for b in brokers.values())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the cluster: dropping the client destroys it."""
        self._client = None


def _library() -> ModuleType:
    try:
        # Not at the top: commands of an installation without govid[dev] import this package.
        import confluent_kafka  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise CannotStart(
            "the in-memory Kafka is not installed.",
            "Install govid[dev], or set GOVID_KAFKA_BOOTSTRAP_SERVERS to your own server.",
        ) from error
    library: ModuleType = confluent_kafka
    return library

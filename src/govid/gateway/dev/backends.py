"""Starts the embedded backends of `govid dev`: PostgreSQL and an in-memory Kafka.

The in-memory Kafka is the mock cluster of librdkafka's own tests. It speaks the real protocol on a
real port and loses all records when the process ends. Order, durability and rebalancing cannot be
tested with it.

Databases of `govid dev` are marked, so that it never runs on a database with real accounts. This
matters if the operator has set the URL of the database: synthetic people could sign in there,
simulated departments would verify real people, and a simulated death notice would block an account.
"""

import os
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from enum import Enum, auto
from types import ModuleType, TracebackType
from typing import Any, Self

import msgspec

from govid.gateway.dev.postgres import ROOT_NOTICE, EmbeddedPostgres, choose_data_folder
from govid.gateway.dev.state import CannotStart, DevState, StateFolder
from govid.gateway.settings import Settings

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


DEMONSTRATION_COMMENT = "govid dev: made-up people and simulated departments"

_COMMENT = """
    SELECT to_regnamespace('identity') IS NULL AS is_new,
           obj_description(to_regnamespace('identity')::oid, 'pg_namespace') AS comment
"""


class DatabaseOrigin(Enum):
    """What created a database."""

    NEW = auto()
    """It has no tables of govid yet."""
    DEMONSTRATION = auto()
    FOREIGN = auto()


async def get_database_origin(connection: Any) -> DatabaseOrigin:
    """Return what created the database of *connection*."""
    row = await connection.fetchrow(_COMMENT)
    if row["is_new"]:
        return DatabaseOrigin.NEW
    return (
        DatabaseOrigin.DEMONSTRATION
        if row["comment"] == DEMONSTRATION_COMMENT
        else DatabaseOrigin.FOREIGN
    )


async def mark_database(connection: Any) -> None:
    """Mark the database as one for demonstrations."""
    await connection.execute(f"COMMENT ON SCHEMA identity IS '{DEMONSTRATION_COMMENT}'")


class EmbeddedBackends(msgspec.Struct, frozen=True, kw_only=True):
    """The embedded backends that were started; None for one that the user has configured."""

    postgres: EmbeddedPostgres | None
    kafka: MockKafka | None

    def overrides(self) -> dict[str, object]:
        """Return the settings with the addresses of the backends."""
        found: dict[str, object] = {}
        if self.postgres is not None:
            found["GOVID_DATABASE_URL"] = self.postgres.url
        if self.kafka is not None:
            found["GOVID_KAFKA_BOOTSTRAP_SERVERS"] = self.kafka.bootstrap_servers
            found["GOVID_KAFKA_GENERATION"] = self.kafka.generation
        return found


def start_backends(
    stack: ExitStack,
    settings: Settings,
    folder: StateFolder,
    state: DevState,
    *,
    report: Callable[[str], None],
    during_start: Callable[[], object],
) -> EmbeddedBackends:
    """Start each backend that *settings* do not name; *stack* stops it again.

    The folder of the database is stored in *state*. *during_start* is called while PostgreSQL
    starts in its own processes. *report* receives sentences for the terminal.

    Raises:
        CannotStart: one of them did not start.
    """
    postgres = None
    if not settings.is_set("GOVID_DATABASE_URL"):
        postgres_folder, reason = choose_data_folder(folder.path, state.postgres_folder)
        for sentence in (reason, ROOT_NOTICE if os.geteuid() == 0 else None):
            if sentence is not None:
                report(sentence)
        if not postgres_folder.exists():
            report("Preparing the database. Later starts are faster.")
        state.postgres_folder = str(postgres_folder)
        folder.write(state)
        postgres = EmbeddedPostgres(postgres_folder, report)
    with ThreadPoolExecutor(1) as pool:
        started = pool.submit(stack.enter_context, postgres) if postgres is not None else None
        during_start()
        kafka = None
        if not settings.is_set("GOVID_KAFKA_BOOTSTRAP_SERVERS"):
            kafka = stack.enter_context(MockKafka())
        if started is not None:
            started.result()
    return EmbeddedBackends(postgres=postgres, kafka=kafka)

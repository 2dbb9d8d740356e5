"""The guard compares each partition by itself, and repeats until all of them were compared."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import msgspec
import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError

from govid.bus import BusSettings, uuid7
from govid.bus.events import Topic
from govid.bus.kafka import kafka_ahead
from govid.bus.kafka.clients import KafkaClientFactory
from govid.bus.kafka.kafka_ahead import AheadGuard
from govid.bus.kafka.topic_reader import TopicReader
from govid.bus.shared.errors import Outage
from govid.bus.storage.server_history import ServerHistory

SETTINGS = BusSettings(database_url="", kafka_bootstrap_servers="k:1", pseudonym_key=b"")
REQUESTS = Topic.VERIFICATION_REQUEST.value
ANSWERS = Topic.APPOINTMENT_REQUEST.value
SILENT = TopicPartition(REQUESTS, 1)
UNKNOWN = (("ce_id", str(uuid7()).encode()), ("ce_source", b"/govid/identity"))


class Record(NamedTuple):
    """A record that govid wrote and the database does not know."""

    offset: int = 0
    headers: Sequence[tuple[str, bytes]] = UNKNOWN


class Cluster(msgspec.Struct):
    """Two topics of two partitions: what holds a record, and what does not answer."""

    leaderless: set[TopicPartition] = set()
    without_offsets: set[TopicPartition] = set()
    without_records: set[TopicPartition] = set()
    filled: set[TopicPartition] = set()
    is_away: bool = False

    def topics(self) -> set[str]:
        return {REQUESTS, ANSWERS}

    def partitions_for_topic(self, topic: str) -> set[int]:
        del topic
        return {0, 1}

    def leader_for_partition(self, place: TopicPartition) -> int:
        return -1 if place in self.leaderless else 1


class Client:
    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    async def fetch_all_metadata(self) -> Cluster:
        return self.cluster

    async def send(self, *_: Any) -> Any:
        raise KafkaConnectionError


class Consumer:
    def __init__(self, cluster: Cluster) -> None:
        self._client = Client(cluster)
        self._cluster = cluster
        self._place: TopicPartition | None = None
        self._position = 0

    def assign(self, places: Sequence[TopicPartition]) -> None:
        (self._place,) = places

    def seek(self, place: TopicPartition, position: int) -> None:
        del place
        self._position = position

    async def position(self, place: TopicPartition) -> int:
        del place
        return self._position

    async def beginning_offsets(
        self, places: Sequence[TopicPartition]
    ) -> Mapping[TopicPartition, int]:
        return dict.fromkeys(places, 0)

    async def end_offsets(self, places: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        if self._cluster.without_offsets.intersection(places):
            raise KafkaTimeoutError
        return {one: int(one in self._cluster.filled) for one in places}

    async def getmany(
        self, place: TopicPartition, **_: Any
    ) -> Mapping[TopicPartition, Sequence[Record]]:
        if place in self._cluster.without_records:
            raise KafkaConnectionError
        self._position = 1
        return {place: [Record()]}


class Database:
    """A database that knows nothing."""

    def __init__(self) -> None:
        self.history = ServerHistory()
        self.fails_over = False

    @property
    def bus_reads(self) -> "Database":
        return self

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator["Database"]:
        if self.fails_over:
            self.fails_over = False
            self.history.change_count += 1
        yield self

    async def fetch(self, *_: Any) -> Sequence[Any]:
        return []

    async def fetchval(self, *_: Any) -> None:
        return None


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    cluster = Cluster()

    @asynccontextmanager
    async def reading(_: object) -> AsyncIterator[TopicReader]:
        if cluster.is_away:
            raise Outage("kafka")
        yield TopicReader("", Consumer(cluster))

    monkeypatch.setattr(kafka_ahead, "open_reader", reading)
    monkeypatch.setattr(kafka_ahead, "RECHECK_SECONDS", 0.0)
    monkeypatch.setattr(kafka_ahead, "RECHECK_FACTOR", 0)
    return cluster


@pytest.fixture
def database() -> Database:
    return Database()


@pytest.fixture
def guard(database: Any) -> AheadGuard:
    return AheadGuard(SETTINGS, KafkaClientFactory.from_settings(SETTINGS), database)


Trouble = Callable[[Cluster], None]


def no_leader(cluster: Cluster) -> None:
    cluster.leaderless.add(SILENT)


def no_offsets(cluster: Cluster) -> None:
    cluster.without_offsets.add(SILENT)


def no_records(cluster: Cluster) -> None:
    cluster.filled.add(SILENT)
    cluster.without_records.add(SILENT)


def heal(cluster: Cluster) -> None:
    for places in (cluster.leaderless, cluster.without_offsets, cluster.without_records):
        places.clear()


TROUBLES = pytest.mark.parametrize("trouble", [no_leader, no_offsets, no_records])


@pytest.mark.parametrize("looks", [1, 3, 10])
async def test_a14_nothing_is_published_while_nothing_could_be_compared(
    guard: AheadGuard, cluster: Cluster, looks: int
) -> None:
    cluster.is_away = True
    assert [await guard.allows_publishing() for _ in range(looks)] == [False] * looks
    cluster.is_away = False
    assert await guard.allows_publishing()
    assert guard.waiting_topics == frozenset()


@TROUBLES
async def test_a14_a_partition_that_does_not_answer_keeps_only_its_topic_waiting(
    guard: AheadGuard, cluster: Cluster, trouble: Trouble
) -> None:
    trouble(cluster)
    assert [await guard.allows_publishing() for _ in range(5)] == [True] * 5
    assert guard.waiting_topics == {REQUESTS}
    heal(cluster)
    cluster.filled.clear()
    assert await guard.allows_publishing()
    assert guard.waiting_topics == frozenset()


@TROUBLES
async def test_a14_a_partition_that_answers_late_is_still_compared(
    guard: AheadGuard, cluster: Cluster, trouble: Trouble
) -> None:
    trouble(cluster)
    assert [await guard.allows_publishing() for _ in range(5)] == [True] * 5
    heal(cluster)
    cluster.filled.add(SILENT)
    assert not await guard.allows_publishing()
    assert [(one.topic, one.partition, one.first) for one in guard.ahead_partitions] == [
        (*SILENT, 0)
    ]


@TROUBLES
async def test_a14_what_is_ahead_is_found_beside_a_partition_that_does_not_answer(
    guard: AheadGuard, cluster: Cluster, trouble: Trouble
) -> None:
    trouble(cluster)
    cluster.filled.add(TopicPartition(ANSWERS, 0))
    assert [await guard.allows_publishing() for _ in range(5)] == [False] * 5
    assert [(one.topic, one.partition) for one in guard.ahead_partitions] == [(ANSWERS, 0)]


async def test_a14_partitions_that_do_not_answer_are_named_once(
    guard: AheadGuard, cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    no_leader(cluster)
    assert [await guard.allows_publishing() for _ in range(5)] == [True] * 5
    reported = [one for one in caplog.records if one.message == "relay.kafka_not_compared"]
    assert [(one.topic, one.partition) for one in reported] == [tuple(SILENT)]


async def test_a14_a_topic_that_was_compared_does_not_wait_again(
    guard: AheadGuard, cluster: Cluster
) -> None:
    no_leader(cluster)
    assert await guard.allows_publishing()
    cluster.leaderless.add(TopicPartition(ANSWERS, 1))
    assert await guard.allows_publishing()
    assert guard.waiting_topics == {REQUESTS}


@TROUBLES
async def test_a14_nothing_is_decided_before_a_first_comparison(
    guard: AheadGuard, cluster: Cluster, trouble: Trouble
) -> None:
    assert guard.is_undecided
    cluster.is_away = True
    assert not await guard.allows_publishing()
    assert guard.is_undecided
    cluster.is_away = False
    trouble(cluster)
    assert await guard.allows_publishing()
    assert not guard.is_undecided


async def test_a14_what_is_ahead_is_decided(guard: AheadGuard, cluster: Cluster) -> None:
    cluster.filled.add(SILENT)
    assert not await guard.allows_publishing()
    assert not guard.is_undecided


async def test_a14_another_history_of_the_database_is_compared_from_the_beginning(
    guard: AheadGuard, cluster: Cluster, database: Database
) -> None:
    assert await guard.allows_publishing()
    assert guard.has_compared(0)
    cluster.filled.add(SILENT)
    assert await guard.allows_publishing()
    database.history.change_count += 1
    assert (guard.has_compared(0), guard.has_compared(1)) == (False, False)
    assert not await guard.allows_publishing()
    # What was read before the change stays unusable after the comparison.
    assert (guard.has_compared(0), guard.has_compared(1)) == (False, True)
    assert [(one.topic, one.partition) for one in guard.ahead_partitions] == [tuple(SILENT)]


async def test_a14_nothing_is_published_while_another_history_cannot_be_compared(
    guard: AheadGuard, cluster: Cluster, database: Database
) -> None:
    assert await guard.allows_publishing()
    database.history.change_count += 1
    cluster.is_away = True
    assert not await guard.allows_publishing()
    assert guard.is_undecided
    cluster.is_away = False
    assert await guard.allows_publishing()


async def test_a14_a_fail_over_that_the_comparison_itself_meets_begins_it_again(
    guard: AheadGuard, cluster: Cluster, database: Database
) -> None:
    no_leader(cluster)
    assert await guard.allows_publishing()
    heal(cluster)
    cluster.filled.add(SILENT)
    database.fails_over = True
    assert not await guard.allows_publishing()
    assert guard.has_compared(1)
    assert guard.waiting_topics == frozenset()

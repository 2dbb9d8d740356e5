"""Whether a new connection continues the history of those before it."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from govid.bus.storage.server_history import ServerHistory, ServerReplaced, WalPosition

FIRST = WalPosition(1, "00000001", 500)
PROMOTED = FIRST._replace(timeline="00000002", written=900)
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
HOST = ("db-1", 5432)


class Connection:
    """A connection to a server that tells a position, or none, or does not answer."""

    def __init__(self, answer: WalPosition | Exception | None, started_at: datetime = NOON) -> None:
        self._answer = answer
        self._started_at = started_at
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def fetchrow(self, _query: str) -> Sequence[object] | None:
        await self.may_answer.wait()
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer

    async def fetchval(self, _query: str) -> datetime:
        return self._started_at


class ChangeCounter:
    """Counts calls of a listener."""

    def __init__(self, history: ServerHistory) -> None:
        self.count = 0
        history.on_change(self.count_change)

    def count_change(self) -> None:
        self.count += 1


@pytest.mark.parametrize(
    ("later", "is_continued"),
    [
        (FIRST, True),
        (FIRST._replace(written=501), True),
        (FIRST._replace(written=499), False),
        (PROMOTED, False),
        (FIRST._replace(system=2, written=900), False),
    ],
    ids=["same", "later", "set back", "promoted", "another cluster"],
)
async def test_another_timeline_cluster_or_earlier_position_is_another_history(
    later: WalPosition, is_continued: bool
) -> None:
    history = ServerHistory()
    changes = ChangeCounter(history)
    await history.observe(Connection(FIRST), HOST)
    count = history.change_count
    await history.observe(Connection(later), HOST)
    assert (history.change_count == count) is is_continued
    assert (changes.count == 0) is is_continued
    await history.observe(Connection(later), HOST)
    assert changes.count == (0 if is_continued else 1)


async def test_a_server_without_a_position_counts_as_another_one_after_each_start() -> None:
    history = ServerHistory()
    later = NOON + timedelta(hours=1)
    counts = []
    for position, started_at in (
        (FIRST, NOON),
        (None, NOON),
        (None, NOON),
        (None, later),
        (FIRST, later),
        (FIRST, later),
    ):
        await history.observe(Connection(position, started_at), HOST)
        counts.append(history.change_count)
    assert counts == [1, 1, 1, 2, 2, 2]


async def test_a_server_that_may_not_be_asked_has_no_position() -> None:
    history = ServerHistory()
    refusal = asyncpg.InsufficientPrivilegeError("permission denied")
    await history.observe(Connection(refusal), HOST)
    await history.observe(Connection(refusal), HOST)
    assert history.change_count == 1


async def test_a_promotion_is_noticed_although_a_connection_in_between_told_no_position() -> None:
    history = ServerHistory()
    changes = ChangeCounter(history)
    for position in (FIRST, None, PROMOTED):
        await history.observe(Connection(position), HOST)
    assert changes.count == 1


async def test_a_connection_that_is_lost_meanwhile_is_no_answer() -> None:
    history = ServerHistory()
    changes = ChangeCounter(history)
    await history.observe(Connection(FIRST), HOST)
    with pytest.raises(asyncpg.AdminShutdownError):
        await history.observe(Connection(asyncpg.AdminShutdownError("terminated")), HOST)
    await history.observe(Connection(PROMOTED), HOST)
    assert changes.count == 1


async def test_a_primary_that_was_replaced_is_refused_and_its_host_is_not_the_last_one() -> None:
    history = ServerHistory()
    await history.observe(Connection(FIRST), HOST)
    await history.observe(Connection(PROMOTED), ("db-2", 5432))
    count = history.change_count
    with pytest.raises(ServerReplaced, match="timeline 1, and a server on timeline 2"):
        await history.observe(Connection(FIRST._replace(written=2000)), HOST)
    assert history.last_host == ("db-2", 5432)
    assert history.change_count == count


async def test_a_position_that_arrives_late_is_not_set_back() -> None:
    history = ServerHistory()
    changes = ChangeCounter(history)
    slow = Connection(FIRST)
    slow.may_answer.clear()
    asked = asyncio.create_task(history.observe(slow, HOST))
    await asyncio.sleep(0)
    await history.observe(Connection(FIRST._replace(written=501)), HOST)
    slow.may_answer.set()
    await asked
    assert changes.count == 0
    # The later position is still known.
    await history.observe(Connection(FIRST), HOST)
    assert changes.count == 1


def test_all_connections_to_one_url_share_their_history() -> None:
    one = ServerHistory.of_url("postgresql://a/x")
    assert ServerHistory.of_url("postgresql://a/x") is one
    assert ServerHistory.of_url("postgresql://a/y") is not one

"""Whether a new connection continues the history of those before it."""

from collections.abc import Sequence

import asyncpg
import pytest

from govid.bus.storage.server_history import ServerHistory, WalPosition

FIRST = WalPosition(1, "00000001", 500)


class Connection:
    """A connection to a server that tells a position, or none, or does not answer."""

    def __init__(self, answer: WalPosition | Exception | None) -> None:
        self._answer = answer

    async def fetchrow(self, _query: str) -> Sequence[object]:
        if self._answer is None:
            raise asyncpg.ObjectNotInPrerequisiteStateError("recovery is in progress")
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


@pytest.mark.parametrize(
    ("later", "is_continued"),
    [
        (FIRST, True),
        (FIRST._replace(written=501), True),
        (FIRST._replace(written=499), False),
        (FIRST._replace(timeline="00000002", written=900), False),
        (FIRST._replace(system=2, written=900), False),
    ],
    ids=["same", "later", "set back", "promoted", "another cluster"],
)
async def test_another_timeline_cluster_or_earlier_position_is_another_history(
    later: WalPosition, is_continued: bool
) -> None:
    history = ServerHistory()
    assert not await history.observe(Connection(FIRST))
    count = history.change_count
    assert await history.observe(Connection(later)) is not is_continued
    assert (history.change_count == count) is is_continued
    assert not await history.observe(Connection(later))


async def test_a_server_that_does_not_tell_its_position_counts_as_another_one() -> None:
    history = ServerHistory()
    counts = []
    for position in (FIRST, FIRST, None, None, FIRST, FIRST):
        assert not await history.observe(Connection(position))
        counts.append(history.change_count)
    assert counts == [1, 1, 2, 3, 4, 4]


async def test_a_promotion_is_noticed_although_a_connection_in_between_told_no_position() -> None:
    history = ServerHistory()
    promoted = FIRST._replace(timeline="00000002", written=900)
    changes = [await history.observe(Connection(one)) for one in (FIRST, None, promoted)]
    assert changes == [False, False, True]


async def test_a_connection_that_is_lost_meanwhile_is_no_answer() -> None:
    history = ServerHistory()
    await history.observe(Connection(FIRST))
    with pytest.raises(asyncpg.AdminShutdownError):
        await history.observe(Connection(asyncpg.AdminShutdownError("terminated")))
    promoted = FIRST._replace(timeline="00000002", written=900)
    assert await history.observe(Connection(promoted))

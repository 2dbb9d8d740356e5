"""Turns: whoever asks for much waits for it, and nobody else does."""

import asyncio
from collections.abc import Sequence

import pytest

from govid.bus import Cause
from govid.identity.passwords.turns import Asker, NoRoom, Turns


def asker(text: str) -> Asker:
    """Return who asks: the network, and the name in it (`1a`)."""
    return Asker(network=text[0], name=text[1])


class Crowd:
    """Those who wait, and those who had their turn, in order."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.served: list[str] = []
        self.refused: list[str] = []
        self.tasks: list[asyncio.Task[None]] = []

    async def come(self, *texts: str) -> Sequence[asyncio.Task[None]]:
        """Let them ask one after the other."""
        new = [asyncio.create_task(self._ask(text)) for text in texts]
        self.tasks += new
        await asyncio.sleep(0)
        return new

    async def serve(self) -> list[str]:
        """End turn after turn until everybody has had theirs; return who was served."""
        while not all(task.done() for task in self.tasks):
            self.turns.end()
            await asyncio.sleep(0)
        return self.served

    async def _ask(self, text: str) -> None:
        try:
            await self.turns.take(asker(text))
        except NoRoom:
            self.refused.append(text)
        else:
            self.served.append(text)


@pytest.fixture
async def crowd() -> Crowd:
    """Return the crowd before one turn, which is taken, with room for four."""
    crowd = Crowd(Turns(1, 4))
    await crowd.turns.take(asker("0z"))
    return crowd


async def test_one_name_after_the_other(crowd: Crowd) -> None:
    await crowd.come("1a", "1a", "1a", "1b")
    assert await crowd.serve() == ["1a", "1b", "1a", "1a"]


async def test_one_network_after_the_other_however_many_names_it_has(crowd: Crowd) -> None:
    await crowd.come("1a", "1b", "1c", "2a")
    assert await crowd.serve() == ["1a", "2a", "1b", "1c"]


async def test_one_name_from_two_networks_is_two(crowd: Crowd) -> None:
    await crowd.come("1a", "1a", "2a", "2a")
    assert await crowd.serve() == ["1a", "2a", "1a", "2a"]


@pytest.mark.parametrize(
    ("waiting", "newcomer", "gone"),
    [
        ("1a 1a 1a 1a", "1a", "1a"),
        ("1a 1a 1a 1a", "2a", "1a"),
        ("1a 1a 1a 1b", "1c", "1a"),
        ("1a 1a 1b 1b", "1b", "1b"),
        ("1a 1b 1c 2a", "2a", "1a"),
        ("1a 2a 3a 4a", "5a", "5a"),
        ("1a 1b 2a 2b", "2a", "2a"),
        ("1a 1b 2a 2b", "3a", "1a"),
    ],
)
async def test_where_there_is_no_room_who_asks_for_the_most_goes(
    crowd: Crowd, waiting: str, newcomer: str, gone: str
) -> None:
    await crowd.come(*waiting.split())
    await crowd.come(newcomer)
    await asyncio.sleep(0)
    assert crowd.refused == [gone]
    assert crowd.turns.waiting == 4


async def test_of_those_who_ask_for_the_most_the_last_one_goes(crowd: Crowd) -> None:
    tasks = await crowd.come("1a", "1a", "1a", "1a")
    await crowd.come("2a")
    await asyncio.sleep(0)
    assert [task.done() for task in tasks] == [False, False, False, True]


async def test_who_gives_up_is_passed_over(crowd: Crowd) -> None:
    tasks = await crowd.come("1a", "1b", "1c")
    tasks[1].cancel()
    await asyncio.sleep(0)
    assert crowd.turns.waiting == 2
    assert await crowd.serve() == ["1a", "1c"]


async def test_who_gives_up_at_the_very_moment_hands_the_turn_on(crowd: Crowd) -> None:
    first, second = await crowd.come("1a", "1b")
    crowd.turns.end()
    first.cancel()
    await asyncio.wait([first, second])
    assert crowd.served == ["1b"]


async def test_a_turn_that_nobody_waits_for_is_kept(crowd: Crowd) -> None:
    crowd.turns.end()
    await crowd.come("1a", "1b")
    assert crowd.served == ["1a"]


async def test_who_waits_is_counted() -> None:
    told: list[int] = []
    crowd = Crowd(Turns(1, 4, told.append))
    await crowd.come("1a", "1a", "1b")
    assert told == [1, 2]
    await crowd.serve()
    assert told == [1, 2, 1, 0]


@pytest.mark.parametrize(
    ("address", "network"),
    [("192.0.2.7", "192.0.2.7"), ("2001:db8::7", "2001:db8::/64"), (None, "none")],
)
def test_who_asks_is_known_by_network_and_name_and_shows_neither(
    address: str | None, network: str
) -> None:
    who = Asker.of(Cause(correlation_id="test", address=address), "ada@example.com")
    assert (who.network, who.name) == (network, "ada@example.com")
    assert repr(who) == "<Asker>"

"""The hash queue is fair: a client with many requests delays its own requests only."""

import asyncio
from collections import Counter as Tally
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from govid.bus import OperationContext
from govid.identity.credentials.hash_queue import FairHashQueue, HashQueueFull, HashRequester


def asker(text: str) -> HashRequester:
    """Return who asks: the networks, the widest first, and the name in the last (`12a`)."""
    return HashRequester(networks=tuple(text[:-1]), name=text[-1])


class Crowd:
    """Those who wait, and those who had their turn, in order."""

    def __init__(self, turns: FairHashQueue) -> None:
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
            self.turns.release()
            await asyncio.sleep(0)
        return self.served

    async def _ask(self, text: str) -> None:
        try:
            await self.turns.acquire(asker(text))
        except HashQueueFull:
            self.refused.append(text)
        else:
            self.served.append(text)


@pytest.fixture
async def crowd() -> Crowd:
    """Return the crowd before one slot, which is taken, with a queue for four."""
    crowd = Crowd(FairHashQueue(1, 4))
    await crowd.turns.acquire(asker("0z"))
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
    ("waiting", "served"),
    [
        ("11a 12a 13a 21a", "11a 21a 12a 13a"),
        ("11a 11b 12a 21a", "11a 21a 12a 11b"),
        ("11a 11a 11b 12a", "11a 12a 11b 11a"),
        ("11a 21a 11b 21b", "11a 21a 11b 21b"),
    ],
)
async def test_networks_take_turns_on_each_level(crowd: Crowd, waiting: str, served: str) -> None:
    await crowd.come(*waiting.split())
    assert await crowd.serve() == served.split()


async def test_a_network_that_comes_back_joins_at_the_end(crowd: Crowd) -> None:
    await crowd.come("1a", "2a", "3a")
    crowd.turns.release()
    await crowd.come("1b")
    assert await crowd.serve() == ["1a", "2a", "3a", "1b"]


@pytest.mark.parametrize(
    ("waiting", "newcomer", "gone"),
    [
        ("1a 1a 1a 1a", "1a", "1a"),
        ("1a 1a 1a 1a", "2a", "1a"),
        ("1a 1a 1a 1b", "1c", "1a"),
        ("1a 1a 1b 1b", "1b", "1b"),
        ("1a 2a 3a 4a", "5a", "5a"),
        ("1a 1b 2a 2b", "2a", "2a"),
        # Of equals the last to come is refused, whatever came first in the queue.
        ("1a 1b 1c 2a", "2a", "1c"),
        ("1a 1b 2a 2b", "3a", "2b"),
        # The widest network that holds the most, and in it the next that does.
        ("11a 12a 13a 14a", "21a", "14a"),
        ("11a 12a 12b 13a", "21a", "12b"),
        ("11a 12a 12b 13a", "14a", "12b"),
        ("11a 11b 21a 22a", "23a", "23a"),
        ("11a 12a 13a 21a", "22a", "13a"),
        # A newcomer whose widest network holds as many is compared on the next level.
        ("11a 11b 21a 31a", "22a", "11b"),
        ("11a 12a 21a 31a", "21b", "21b"),
        ("11a 12a 21a 31a", "22a", "22a"),
    ],
)
async def test_where_there_is_no_capacity_who_holds_the_most_goes(
    crowd: Crowd, waiting: str, newcomer: str, gone: str
) -> None:
    await crowd.come(*waiting.split())
    await crowd.come(newcomer)
    await asyncio.sleep(0)
    assert crowd.refused == [gone]
    assert crowd.turns.waiting == 4


async def test_of_those_who_hold_the_most_the_last_to_come_goes(crowd: Crowd) -> None:
    tasks = await crowd.come("1a", "1a", "1a", "1a")
    await crowd.come("2a")
    await asyncio.sleep(0)
    assert [task.done() for task in tasks] == [False, False, False, True]


async def test_nothing_is_kept_of_those_who_have_gone(crowd: Crowd) -> None:
    tasks = await crowd.come("11a", "11b", "12a", "21a", "31a", "11a")
    tasks[0].cancel()
    await crowd.serve()
    turns = crowd.turns
    assert (turns._waiters, turns._sizes, turns._positions) == ({}, {}, {})


async def test_capacity_that_a_turn_has_freed_is_used_before_anyone_is_refused(
    crowd: Crowd,
) -> None:
    await crowd.come("1a", "1b", "1c", "1d")
    crowd.turns.release()
    await crowd.come("1e")
    assert crowd.refused == []
    assert crowd.turns.waiting == 4


async def test_who_gives_up_is_passed_over(crowd: Crowd) -> None:
    tasks = await crowd.come("1a", "1b", "1c")
    tasks[1].cancel()
    await asyncio.sleep(0)
    assert crowd.turns.waiting == 2
    assert await crowd.serve() == ["1a", "1c"]


async def test_who_gives_up_at_the_very_moment_hands_the_turn_on(crowd: Crowd) -> None:
    first, second = await crowd.come("1a", "1b")
    crowd.turns.release()
    first.cancel()
    await asyncio.wait([first, second])
    assert crowd.served == ["1b"]


async def test_a_turn_that_no_one_waits_for_is_kept(crowd: Crowd) -> None:
    crowd.turns.release()
    await crowd.come("1a", "1b")
    assert crowd.served == ["1a"]


async def test_who_waits_is_counted() -> None:
    reported: list[int] = []
    crowd = Crowd(FairHashQueue(1, 4, reported.append))
    await crowd.come("1a", "1a", "1b")
    assert reported == [1, 2]
    await crowd.serve()
    assert reported == [1, 2, 1, 0]


@pytest.mark.parametrize(
    ("address", "networks"),
    [
        ("192.0.2.7", ("192.0.0.0/16", "192.0.2.0/24", "192.0.2.7")),
        ("2001:db8::7", ("2001:db8::/48", "2001:db8::/56", "2001:db8::/64")),
        (None, ("none", "none", "none")),
    ],
)
def test_who_asks_is_known_by_networks_and_name_and_shows_neither(
    address: str | None, networks: tuple[str, ...]
) -> None:
    who = HashRequester.from_context(
        OperationContext(correlation_id="test", client_address=address), "ada@example.com"
    )
    assert (who.networks, who.name) == (networks, "ada@example.com")
    assert repr(who) == "<HashRequester>"


IPV6_56 = [f"2001:db8:0:{number:x}::1" for number in range(256)]
IPV6_48 = [f"2001:db8:0:{number:x}00::1" for number in range(256)]
IPV4_24 = [f"192.0.2.{number}" for number in range(256)]
MIXED = [one for three in zip(IPV6_56, IPV6_48, IPV4_24, strict=True) for one in three]
ATTACKS = pytest.mark.parametrize(
    ("attackers", "wide_networks"),
    [(IPV6_56, 1), (IPV6_48, 1), (IPV4_24, 1), (MIXED, 2), (["192.0.2.1"] * 256, 1)],
    ids=["ipv6/56", "ipv6/48", "ipv4/24", "mixed", "one address"],
)
CAPACITY = 64


class NetworkPopulation(Crowd):
    """A crowd of addresses, each of which asks in a name of its own."""

    async def _ask(self, text: str) -> None:
        who = HashRequester.from_context(
            OperationContext(correlation_id="test", client_address=text), f"of {text}"
        )
        try:
            await self.turns.acquire(who)
        except HashQueueFull:
            self.refused.append(text)
        else:
            self.served.append(text)


@pytest.fixture
async def population() -> NetworkPopulation:
    """Return the town before one slot, which is taken, with a queue as long as production's."""
    population = NetworkPopulation(FairHashQueue(1, CAPACITY))
    await population.turns.acquire(asker("0z"))
    return population


@ATTACKS
async def test_an_owner_gets_in_and_is_next_however_full_the_queue_is(
    population: NetworkPopulation, attackers: list[str], wide_networks: int
) -> None:
    await population.come(*attackers)
    await population.come("198.51.100.7")
    await population.come(*attackers)
    await asyncio.sleep(0)
    assert len(population.refused) == 2 * len(attackers) + 1 - CAPACITY
    served = await population.serve()
    assert served.index("198.51.100.7") == wide_networks
    assert "198.51.100.7" not in population.refused


@ATTACKS
async def test_two_networks_of_owners_share_the_queue_with_the_attackers(
    population: NetworkPopulation, attackers: list[str], wide_networks: int
) -> None:
    owners = [
        f"{network}.{number}" for number in range(12) for network in ("198.51.100", "203.0.113")
    ]
    await population.come(*attackers)
    await population.come(*owners)
    await population.come(*attackers)
    served = await population.serve()
    assert [one for one in served if one in owners] == owners
    assert len(served) == CAPACITY
    assert served.index(owners[-1]) == 12 * (wide_networks + 2) - 1


@pytest.mark.parametrize(
    ("attackers", "owner"),
    [
        (IPV6_56, "2001:db8:0:ff00::1"),
        (IPV4_24, "192.0.3.7"),
        ([f"2001:db8::{number:x}" for number in range(256)], "2001:db8:0:1::1"),
        (["192.0.2.1"] * 256, "192.0.2.7"),
        (["2001:db8::1"] * 256, "2001:db8::2"),
    ],
    ids=["/48", "/16", "/56", "/24", "/64"],
)
async def test_an_owner_gets_in_from_within_a_wider_network_of_the_attackers(
    population: NetworkPopulation, attackers: list[str], owner: str
) -> None:
    await population.come(*attackers)
    await population.come(owner)
    await population.come(*attackers)
    served = await population.serve()
    assert served.index(owner) == 1
    assert owner not in population.refused


def full_queues() -> st.SearchStrategy[tuple[int, list[str]]]:
    """Return a level, and waiters who are in the networks of `zzzz` on all wider ones only."""
    letters = st.text("abcde", min_size=4, max_size=4)
    return st.integers(0, 3).flatmap(
        lambda level: st.tuples(
            st.just(level),
            st.lists(
                letters.map(lambda path: "zzzz"[:level] + path[level:]), min_size=1, max_size=8
            ),
        )
    )


@given(full_queues())
@settings(deadline=None)
def test_a_newcomer_of_an_absent_network_is_refused_only_where_each_holds_one(
    queue: tuple[int, list[str]],
) -> None:
    level, waiting = queue
    sizes = Tally(one[: level + 1] for one in waiting).values()

    async def come() -> list[str]:
        crowd = Crowd(FairHashQueue(1, len(waiting)))
        await crowd.turns.acquire(asker("0z"))
        await crowd.come(*waiting)
        await crowd.come("zzzz")
        await asyncio.sleep(0)
        assert crowd.turns.waiting == len(waiting)
        assert len(crowd.refused) == 1
        await crowd.serve()
        return crowd.refused

    assert (asyncio.run(come()) == ["zzzz"]) is (max(sizes) == 1)


@given(st.lists(st.text("abc", min_size=4, max_size=4), max_size=40), st.integers(1, 8))
@settings(deadline=None)
def test_a_wide_network_that_was_refused_has_its_share(arrivals: list[str], room: int) -> None:
    async def come() -> tuple[list[str], list[str]]:
        crowd = Crowd(FairHashQueue(1, room))
        await crowd.turns.acquire(asker("0z"))
        await crowd.come(*arrivals)
        await asyncio.sleep(0)
        refused = list(crowd.refused)
        return refused, await crowd.serve()

    refused, served = asyncio.run(come())
    held = Tally(one[0] for one in served)
    assert sorted(refused + served) == sorted(arrivals)
    assert len(served) == min(room, len(arrivals))
    assert all(held[one[0]] >= max(held.values()) - 1 for one in refused)

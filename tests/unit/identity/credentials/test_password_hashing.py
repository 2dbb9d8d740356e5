"""Password hashing: strong enough, bounded, off the event loop, and safe from crafted input."""

import asyncio
import os
import sys
import threading
from collections import Counter
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from govid.bus import OperationContext
from govid.identity.credentials.hash_queue import HashRequester
from govid.identity.credentials.password_hashing import (
    MAX_WAITING,
    NICENESS,
    HashMetrics,
    PasswordHashing,
)
from govid.identity.errors import LoginBusy
from govid.identity.settings import IdentitySettings

SETTINGS = IdentitySettings(
    issuer="https://govid.example", argon2_memory_kib=19456, hash_concurrency=1
)
ADA, EVE = (
    HashRequester.from_context(
        OperationContext(correlation_id="test", client_address="192.0.2.1"), name
    )
    for name in ("ada", "eve")
)


def passwords(**changes: Any) -> PasswordHashing:
    return PasswordHashing(msgspec.structs.replace(SETTINGS, **changes))


@pytest.mark.parametrize(
    ("time_cost", "memory_kib"),
    [(1, 47103), (2, 19455), (3, 12287), (4, 12287), (0, 1_000_000)],
)
def test_r1_a_hash_below_the_minimums_is_refused(time_cost: int, memory_kib: int) -> None:
    with pytest.raises(ValueError, match="too weak"):
        passwords(argon2_time_cost=time_cost, argon2_memory_kib=memory_kib)


@pytest.mark.parametrize(("time_cost", "memory_kib"), [(1, 47104), (2, 19456), (3, 12288)])
async def test_r1_a_hash_at_the_minimum_is_made_as_asked(time_cost: int, memory_kib: int) -> None:
    hasher = passwords(argon2_time_cost=time_cost, argon2_memory_kib=memory_kib)
    stored = await hasher.hash("password123", ADA)
    assert stored.startswith(f"$argon2id$v=19$m={memory_kib},t={time_cost},p=1$")


@pytest.mark.parametrize("settings", [{"argon2_parallelism": 0}, {"hash_concurrency": 0}])
def test_settings_that_make_no_sense_are_refused(settings: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"too weak|at least one"):
        passwords(**settings)


async def test_the_right_password_is_recognised() -> None:
    hasher = passwords()
    assert await hasher.verify(await hasher.hash("password123", ADA), "password123", ADA) is True


@pytest.mark.parametrize(
    ("password", "tried"),
    [
        ("p" * 72 + "a", "p" * 72 + "b"),
        ("password\0a", "password\0b"),
        ("password", "Password"),
        ("password ", "password"),
        (" password", "password"),
        ("password", ""),
        ("password", "p" * 257),
        ("password", "passwor\ud800"),
    ],
)
async def test_r3_every_character_counts(password: str, tried: str) -> None:
    hasher = passwords()
    assert await hasher.verify(await hasher.hash(password, ADA), tried, ADA) is False


async def test_r3_one_text_in_two_normal_forms_is_one_password() -> None:
    hasher = passwords()
    assert await hasher.verify(await hasher.hash("passwörd", ADA), "passwo\u0308rd", ADA) is True


async def test_nothing_stored_is_no_after_the_work_of_a_hash(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hasher, hashed = passwords(), Counter[str]()
    real = hasher._hasher.hash
    monkeypatch.setattr(hasher, "_hasher", CountingHasher(hashed, real))
    assert await hasher.verify(None, "password123", ADA) is False
    assert hashed == {"hash": 1}


class CountingHasher:
    def __init__(self, calls: Counter[str], real: Any) -> None:
        self.calls = calls
        self.real = real

    def hash(self, password: str | bytes) -> str:
        self.calls["hash"] += 1
        stored: str = self.real(password)
        return stored


@pytest.mark.parametrize("stored", ["", "not a hash", "$argon2id$v=19$m=1,t=1,p=1$AA$AA"])
async def test_a_damaged_hash_is_a_wrong_password(stored: str) -> None:
    assert await passwords().verify(stored, "password123", ADA) is False


async def test_a_hash_of_other_parameters_is_outdated() -> None:
    weak, strong = passwords(), passwords(argon2_memory_kib=20480)
    stored = await weak.hash("password123", ADA)
    assert strong.is_outdated(stored) is True
    assert weak.is_outdated(stored) is False
    assert await strong.verify(stored, "password123", ADA) is True


class Gate:
    """A hasher that works only when it is let, and counts how many are at it."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.running = 0
        self.most = 0
        self.lock = threading.Lock()

    def hash(self, _: bytes) -> str:
        with self.lock:
            self.running += 1
            self.most = max(self.most, self.running)
        self.open.wait(30)
        with self.lock:
            self.running -= 1
        return "hashed"


@pytest.fixture
def gate() -> Gate:
    return Gate()


def gated(gate: Gate, *, wait_seconds: float = 30, concurrency: int = 2) -> PasswordHashing:
    settings = msgspec.structs.replace(SETTINGS, hash_concurrency=concurrency)
    hasher = PasswordHashing(settings, wait_seconds=wait_seconds)
    hasher._hasher = gate  # type: ignore[assignment]  # the same face, with a door in it
    return hasher


async def test_no_more_hashes_run_at_once_than_allowed(gate: Gate) -> None:
    hasher = gated(gate)
    tasks = [asyncio.create_task(hasher.hash("p", ADA)) for _ in range(20)]
    await asyncio.sleep(0)
    gate.open.set()
    assert await asyncio.gather(*tasks) == ["hashed"] * 20
    assert gate.most == 2


async def test_what_waits_and_what_is_refused_is_counted(gate: Gate) -> None:
    registry = CollectorRegistry()
    settings = msgspec.structs.replace(SETTINGS, hash_concurrency=2)
    hasher = PasswordHashing(settings, HashMetrics(registry))
    hasher._hasher = gate  # type: ignore[assignment]  # the same face, with a door in it
    tasks = [asyncio.create_task(hasher.verify(None, "p", ADA)) for _ in range(2 + MAX_WAITING)]
    await asyncio.sleep(0)
    assert registry.get_sample_value("govid_hashes_waiting") == MAX_WAITING
    with pytest.raises(LoginBusy):
        await hasher.hash("p", ADA)
    gate.open.set()
    await asyncio.gather(*tasks)
    assert registry.get_sample_value("govid_hashes_waiting") == 0
    counted = [
        registry.get_sample_value("govid_hashes_total", {"outcome": outcome})
        for outcome in ("begun", "refused")
    ]
    assert counted == [2 + MAX_WAITING, 1]


async def test_a_full_queue_refuses_at_once_and_says_when_to_come_back(gate: Gate) -> None:
    hasher = gated(gate)
    tasks = [asyncio.create_task(hasher.hash("p", ADA)) for _ in range(2 + MAX_WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(LoginBusy) as refusal:
        await hasher.hash("p", ADA)
    assert refusal.value.retry_after_seconds == 5
    gate.open.set()
    assert await asyncio.gather(*tasks) == ["hashed"] * (2 + MAX_WAITING)


async def test_fifty_who_ask_in_one_name_are_not_in_the_way_of_another(gate: Gate) -> None:
    hasher, made = gated(gate, concurrency=1), list[str]()

    async def make(asker: HashRequester) -> None:
        await hasher.hash("p", asker)
        made.append(asker.name)

    crowd = [asyncio.create_task(make(ADA)) for _ in range(50)]
    await asyncio.sleep(0)
    other = asyncio.create_task(make(EVE))
    await asyncio.sleep(0)
    gate.open.set()
    await asyncio.gather(*crowd, other)
    assert made.index("eve") == 2


@pytest.mark.parametrize(
    "attackers",
    [
        [f"2001:db8:0:{number:x}::1" for number in range(130)],
        [f"2001:db8:0:{number:x}00::1" for number in range(130)],
        [f"192.0.2.{number}" for number in range(130)],
    ],
    ids=["ipv6/56", "ipv6/48", "ipv4/24"],
)
async def test_a_full_queue_of_one_wide_network_leaves_others_their_turns(
    gate: Gate, attackers: list[str]
) -> None:
    hasher, made = gated(gate, concurrency=1), list[str]()

    async def make(address: str, name: str) -> None:
        await hasher.hash(
            "p",
            HashRequester.from_context(
                OperationContext(correlation_id="test", client_address=address), name
            ),
        )
        made.append(name)

    crowd = [asyncio.create_task(make(address, "wrong")) for address in attackers]
    await asyncio.sleep(0)
    owner = asyncio.create_task(make("198.51.100.7", "owner"))
    await asyncio.sleep(0)
    more = [asyncio.create_task(make(address, "wrong")) for address in attackers]
    await asyncio.sleep(0)
    gate.open.set()
    await asyncio.gather(*crowd, *more, return_exceptions=True)
    await owner
    assert made.index("owner") == 2
    assert len(made) == 1 + MAX_WAITING


async def test_who_waits_too_long_is_refused_and_leaves_the_queue(gate: Gate) -> None:
    hasher = gated(gate, wait_seconds=0.01, concurrency=1)
    running = asyncio.create_task(hasher.hash("p", ADA))
    await asyncio.sleep(0)
    with pytest.raises(LoginBusy):
        await hasher.hash("p", ADA)
    assert hasher._queue.waiting == 0
    gate.open.set()
    assert await running == "hashed"


async def test_r1_the_event_loop_goes_on_while_a_hash_is_made(gate: Gate) -> None:
    running = asyncio.create_task(gated(gate).hash("p", ADA))
    await asyncio.sleep(0)
    assert not running.done()
    gate.open.set()
    assert await running == "hashed"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts priority by thread")
async def test_a_hash_steps_back_behind_requests_and_nothing_else_does() -> None:
    def niceness() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    before = niceness()
    assert await passwords()._run(ADA, niceness) == min(before + NICENESS, 19)
    assert niceness() == before

"""Replicas share the buckets, hand them over, and wake each other (requirements 4 and 12)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from govid.bus import BusSettings
from govid.bus.delivery import leases
from govid.bus.delivery.leases import Leases
from govid.bus.delivery.subscriptions import BUCKETS
from govid.bus.delivery.wakeup import WakeupHub, WakeupNotifier
from tests.integration.bus.harness import NAME, wait_until


@asynccontextmanager
async def running(*leases: Leases) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(lease.run()) for lease in leases]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def a_replica(settings: BusSettings) -> Leases:
    return Leases(settings, [NAME])


async def owns(leases: Leases, buckets: int) -> bool:
    return len(leases.owned_epochs(NAME)) == buckets


class Freeze:
    """Stops a replica in the middle of its round: rows are locked, and nothing more is said."""

    def __init__(self) -> None:
        self.began = asyncio.Event()

    async def __call__(self, *_: object) -> None:
        self.began.set()
        await asyncio.Event().wait()


async def kept(connections: list[Any], connection: Any) -> None:
    connections.append(connection)


async def came(connections: list[Any]) -> bool:
    return bool(connections)


async def silence(_connection: Any) -> None:
    raise TimeoutError


def in_a_hurry(settings: BusSettings) -> BusSettings:
    return BusSettings(
        database_url=settings.database_url,
        kafka_bootstrap_servers=settings.kafka_bootstrap_servers,
        pseudonym_key=settings.pseudonym_key,
        lease_seconds=3,
    )


async def test_r4_one_replica_owns_all_buckets_and_two_share_them(
    bus_settings: BusSettings,
) -> None:
    settings = in_a_hurry(bus_settings)
    first, second = a_replica(settings), a_replica(settings)
    async with running(first):
        await wait_until(lambda: owns(first, BUCKETS))
        async with running(second):
            await wait_until(lambda: owns(second, BUCKETS // 2))
            await wait_until(lambda: owns(first, BUCKETS // 2))
            assert not first.owned_epochs(NAME).keys() & second.owned_epochs(NAME).keys()
        await wait_until(lambda: owns(first, BUCKETS))


async def test_r4_each_change_of_owner_raises_the_epoch(bus_settings: BusSettings) -> None:
    first, second = a_replica(bus_settings), a_replica(bus_settings)
    async with running(first):
        await wait_until(lambda: owns(first, BUCKETS))
        epoch = first.owned_epochs(NAME)[0]
    async with running(second):
        await wait_until(lambda: owns(second, BUCKETS))
        assert second.owned_epochs(NAME)[0] == epoch + 1


async def test_r4_a_dead_replicas_buckets_are_taken_over_before_its_lease_lapses(
    bus_settings: BusSettings, postgres_server: str
) -> None:
    dead = a_replica(bus_settings)
    task = asyncio.create_task(dead.run())
    await wait_until(lambda: owns(dead, BUCKETS))
    # Dies without a word: no release, only its connection ends, as after kill -9.
    dead._release = lambda _connection: asyncio.sleep(0)  # type: ignore[method-assign]
    task.cancel()
    await asyncio.wait([task])
    heir = a_replica(bus_settings)
    async with running(heir):
        # The lease has 15 seconds; the first round of claims comes at once.
        async with asyncio.timeout(bus_settings.lease_seconds / 3 - 1):
            await wait_until(lambda: owns(heir, BUCKETS))


async def test_r4_a_replica_that_freezes_in_its_renewal_holds_no_one_up(
    bus_settings: BusSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = in_a_hurry(bus_settings)
    frozen, heir = a_replica(settings), a_replica(settings)
    async with running(frozen):
        await wait_until(lambda: owns(frozen, BUCKETS))
        freeze = Freeze()
        monkeypatch.setattr(frozen, "_balance", freeze)
        await freeze.began.wait()
        async with running(heir):
            await wait_until(lambda: owns(heir, BUCKETS))


async def test_r4_a_session_that_the_server_believes_alive_keeps_its_replica_from_nothing(
    bus_settings: BusSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    forgotten: list[Any] = []
    monkeypatch.setattr(leases, "_close", lambda connection: kept(forgotten, connection))
    replica = a_replica(in_a_hurry(bus_settings))
    async with running(replica):
        await wait_until(lambda: owns(replica, BUCKETS))
        renew = replica._renew_all
        monkeypatch.setattr(replica, "_renew_all", silence)
        await wait_until(lambda: came(forgotten))
        replica._expires_at = 0.0
        monkeypatch.setattr(replica, "_renew_all", renew)
        await wait_until(lambda: owns(replica, BUCKETS))
    await asyncio.gather(*(connection.close() for connection in forgotten))


async def test_r12_a_ring_reaches_another_replica(bus_settings: BusSettings) -> None:
    here, there = WakeupHub(), WakeupHub()
    bell = there.event(NAME)
    notifiers = [
        WakeupNotifier(bus_settings.database_url, here, lambda: 2),
        WakeupNotifier(bus_settings.database_url, there, lambda: 2),
    ]
    tasks = [asyncio.create_task(notifier.run()) for notifier in notifiers]
    # Each listener notifies all its dispatchers once it listens.
    await bell.wait()
    bell.clear()
    here.notify([NAME])
    async with asyncio.timeout(5):
        await bell.wait()
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def test_r12_a_single_replica_notifies_no_one(bus_settings: BusSettings) -> None:
    wake = WakeupHub()
    notifier = WakeupNotifier(bus_settings.database_url, wake, lambda: 1)
    wake.notify([NAME])
    assert notifier._pending == set()

"""A department reports that it is back; while it is away, probes are requested."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from govid.bus.upstream import (
    BreakerState,
    Department,
    UnusableResponse,
    UpstreamRequest,
    UpstreamUnavailable,
)
from govid.bus.upstream import department as module

from .conftest import Opened
from .loopback import Loopback, reply, silence

DEADLINE_SECONDS = 10


@pytest.fixture
def notifications(department: Department) -> Sequence[bool]:
    """Return what the department says, as it says it."""
    heard: list[bool] = []
    department.on_recovery(heard.append)
    return heard


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing happen by itself, however long a test takes."""
    monkeypatch.setattr(module, "MIN_PROBE_INTERVAL_SECONDS", 600)
    monkeypatch.setattr(module, "LATE_WAITERS_SECONDS", 600)


@pytest.fixture
def swift(patient: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask for a look again and again."""
    monkeypatch.setattr(module, "MIN_PROBE_INTERVAL_SECONDS", 0.01)


@pytest.fixture
def later(patient: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LATE_WAITERS_SECONDS", 0.01)


async def fails(call: Awaitable[object]) -> None:
    with pytest.raises(UpstreamUnavailable):
        await call


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not condition():
            await asyncio.sleep(0.005)


async def turn() -> None:
    """Let pass what was to happen at once."""
    passed = asyncio.Event()
    asyncio.get_running_loop().call_later(0, passed.set)
    await passed.wait()


async def test_one_that_is_back_reports_it(
    opened: Opened, once: UpstreamRequest, department: Department, notifications: Sequence[bool]
) -> None:
    async with Loopback(reply(500), reply(200)) as server:
        api = opened(server.url, failures_to_open=1, open_seconds=0)
        await fails(api.request(once))
        assert (department.state, notifications) == ("down", [])
        await api.request(once)
        await turn()
        await api.request(once)
        await turn()
    assert (department.state, notifications) == ("ok", [True])


async def test_one_that_refuses_govid_itself_is_not_back(
    opened: Opened, once: UpstreamRequest, department: Department, notifications: Sequence[bool]
) -> None:
    async with Loopback(reply(500), reply(401)) as server:
        api = opened(server.url, failures_to_open=1, open_seconds=0)
        await fails(api.request(once))
        await api.request(once)
        api.breaker.trip()
        await turn()
    assert (department.state, notifications) == ("down", [])


@pytest.mark.usefixtures("later")
async def test_it_reports_again_to_who_was_refused_in_that_moment(
    opened: Opened, once: UpstreamRequest, notifications: Sequence[bool]
) -> None:
    async with Loopback(reply(500), reply(200)) as server:
        api = opened(server.url, failures_to_open=1, open_seconds=0)
        await fails(api.request(once))
        await api.request(once)
        await until(lambda: len(notifications) == 2)
    assert notifications == [True, True]


@pytest.mark.usefixtures("swift")
async def test_after_each_rest_an_account_is_asked_to_look(
    opened: Opened, once: UpstreamRequest, notifications: Sequence[bool]
) -> None:
    async with Loopback(reply(500)) as server:
        api = opened(server.url, failures_to_open=1, open_seconds=0)
        await fails(api.request(once))
        await until(lambda: len(notifications) >= 2)
        await fails(api.request(once))
        found = len(notifications)
        await until(lambda: len(notifications) >= found + 2)
    assert set(notifications) == {False}


@pytest.mark.usefixtures("swift")
async def test_after_a_look_that_proves_nothing_an_account_is_asked_to_look_again(
    opened: Opened, once: UpstreamRequest, notifications: Sequence[bool]
) -> None:
    async with Loopback(reply(500), reply(200, b"<p>", kind="text/html")) as server:
        api = opened(server.url, failures_to_open=1, open_seconds=0)
        await fails(api.request(once))
        with pytest.raises(UnusableResponse):
            await api.request(once)
        assert api.breaker.state is BreakerState.HALF_OPEN
        found = len(notifications)
        await until(lambda: len(notifications) >= found + 2)
    assert set(notifications) == {False}


async def test_an_interface_that_is_back_does_not_wait_for_the_others(
    opened: Opened, once: UpstreamRequest, department: Department, notifications: Sequence[bool]
) -> None:
    async with Loopback(reply(500), reply(500), reply(200)) as server:
        away = opened(server.url, failures_to_open=1, open_seconds=600)
        back = opened(server.url, failures_to_open=1, open_seconds=0)
        await fails(away.request(once))
        await fails(back.request(once))
        await back.request(once)
        await turn()
    assert (department.state, notifications) == ("down", [True])


async def test_one_that_is_closed_asks_no_one_any_more(
    opened: Opened, once: UpstreamRequest, department: Department, notifications: Sequence[bool]
) -> None:
    async with Loopback(reply(500)) as server:
        api = opened(server.url, failures_to_open=1, open_seconds=0)
        await fails(api.request(once))
        await department.close()
    assert [timer.cancelled() for timer in department._timers.values()] == [True]
    assert notifications == []


async def test_a_call_that_fails_as_it_is_closed_asks_no_one(
    opened: Opened, once: UpstreamRequest, department: Department
) -> None:
    async with Loopback(silence()) as server:
        api = opened(server.url, failures_to_open=1, open_seconds=0)
        asking = asyncio.create_task(api.request(once))
        await until(lambda: len(server.seen) == 1)
        await department.close()
        await fails(asking)
    assert api.breaker.state is BreakerState.OPEN
    assert department._timers == {}

"""The circuit breaker opens for a department that is away, and for no other failure."""

import asyncio

import pytest
from prometheus_client import CollectorRegistry

from govid.bus.upstream import (
    BreakerState,
    CircuitBreaker,
    Department,
    UnusableResponse,
    UpstreamClient,
    UpstreamFailure,
    UpstreamRateLimited,
    UpstreamRequest,
    UpstreamResponse,
    UpstreamUnavailable,
)

from .conftest import Opened
from .loopback import Loopback, Reply, reply


def fail(breaker: CircuitBreaker, error: Exception) -> None:
    with pytest.raises(type(error)), breaker.attempt():
        raise error


def away() -> UpstreamUnavailable:
    return UpstreamUnavailable("nhs", "503")


async def test_it_opens_after_failures_in_a_row_and_calls_no_one(
    opened: Opened, once: UpstreamRequest, department: Department, registry: CollectorRegistry
) -> None:
    async with Loopback(reply(500)) as server:
        api = opened(server.url, failures_to_open=2)
        await asyncio.gather(api.request(once), api.request(once), return_exceptions=True)
        with pytest.raises(UpstreamUnavailable) as refused:
            await api.request(once)
    assert refused.value.reason == "breaker open"
    assert len(server.seen) == 2
    assert department.state == "down"
    labels = {"department": "nhs", "api": "pds"}
    assert registry.get_sample_value("govid_breaker_state", labels) == 2


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 424, 429])
async def test_a_refusal_never_opens_it(opened: Opened, once: UpstreamRequest, status: int) -> None:
    async with Loopback(reply(status)) as server:
        api = opened(server.url, failures_to_open=1)
        await asyncio.gather(*(api.request(once) for _ in range(5)), return_exceptions=True)
    assert api.breaker.state is BreakerState.CLOSED
    assert len(server.seen) == 5


async def test_after_its_rest_it_lets_one_call_through_and_closes(
    opened: Opened, once: UpstreamRequest
) -> None:
    states: list[BreakerState] = []
    async with Loopback(reply(500), reply(200)) as server:
        api = opened(server.url, failures_to_open=1, open_seconds=0)
        api.breaker.add_listener(states.append)
        with pytest.raises(UpstreamUnavailable):
            await api.request(once)
        found = await asyncio.gather(
            *(api.request(once) for _ in range(10)), return_exceptions=True
        )
    assert [type(one) for one in found].count(UpstreamResponse) == 1
    assert len(server.seen) == 2
    assert states == [BreakerState.OPEN, BreakerState.HALF_OPEN, BreakerState.CLOSED]


def test_a_probe_that_fails_opens_it_again() -> None:
    breaker = CircuitBreaker("nhs", failures=1, open_seconds=0)
    fail(breaker, away())
    fail(breaker, away())
    assert breaker.state is BreakerState.OPEN


def test_one_success_forgets_the_failures_before_it() -> None:
    breaker = CircuitBreaker("nhs", failures=2, open_seconds=60)
    fail(breaker, away())
    with breaker.attempt():
        pass
    fail(breaker, away())
    assert breaker.state is BreakerState.CLOSED


def test_a_probe_that_was_cancelled_proves_nothing_and_another_may_follow() -> None:
    breaker = CircuitBreaker("nhs", failures=1, open_seconds=0)
    fail(breaker, away())
    with pytest.raises(asyncio.CancelledError), breaker.attempt():
        raise asyncio.CancelledError
    assert breaker.state is BreakerState.HALF_OPEN
    with breaker.attempt():
        pass
    assert breaker.state is BreakerState.CLOSED


def test_an_unusable_answer_counts_neither_way() -> None:
    breaker = CircuitBreaker("nhs", failures=2, open_seconds=60)
    fail(breaker, away())
    fail(breaker, UnusableResponse("nhs", "too long"))
    assert breaker.state is BreakerState.CLOSED
    fail(breaker, away())
    assert breaker.state is BreakerState.OPEN


def test_being_asked_for_patience_shows_that_a_person_is_there() -> None:
    breaker = CircuitBreaker("nhs", failures=1, open_seconds=0)
    fail(breaker, away())
    fail(breaker, UpstreamRateLimited("nhs", "429"))
    assert breaker.state is BreakerState.CLOSED


def test_it_can_be_opened_by_who_knows_better() -> None:
    breaker = CircuitBreaker("nhs", failures=5, open_seconds=60)
    breaker.trip()
    with pytest.raises(UpstreamUnavailable, match="nhs"):
        breaker.check()


async def test_each_attempt_of_a_retried_call_counts(opened: Opened, call: UpstreamRequest) -> None:
    async with Loopback(reply(503)) as server:
        api = opened(server.url, failures_to_open=3)
        with pytest.raises(UpstreamUnavailable):
            await api.request(call)
    assert len(server.seen) == 3
    assert api.breaker.state is BreakerState.OPEN


REJECTED_BY_THE_CLIENT = reply(200, b"<p>", kind="text/html")
NOT_DECODABLE = reply(200, b'{"id":')


async def expect_failures(
    api: UpstreamClient, request: UpstreamRequest, *errors: type[UpstreamFailure]
) -> None:
    """Send *request* once for each of *errors*, which its call has to raise.

    The response is decoded as a caller does it: after the attempt has ended.
    """
    for error in errors:
        with pytest.raises(error):
            (await api.request(request)).decode(dict[str, str])


@pytest.mark.parametrize(
    ("unusable", "state"),
    [(REJECTED_BY_THE_CLIENT, BreakerState.OPEN), (NOT_DECODABLE, BreakerState.CLOSED)],
    ids=["rejected by the client", "not decodable"],
)
async def test_only_a_response_that_passed_the_client_resets_the_count(
    opened: Opened, once: UpstreamRequest, unusable: Reply, state: BreakerState
) -> None:
    async with Loopback(reply(500), unusable, reply(500)) as server:
        api = opened(server.url, failures_to_open=2)
        await expect_failures(api, once, UpstreamUnavailable, UnusableResponse, UpstreamUnavailable)
    assert api.breaker.state is state


@pytest.mark.parametrize(
    ("unusable", "state"),
    [(REJECTED_BY_THE_CLIENT, BreakerState.HALF_OPEN), (NOT_DECODABLE, BreakerState.CLOSED)],
    ids=["rejected by the client", "not decodable"],
)
async def test_only_a_probe_whose_response_passed_the_client_closes_it(
    opened: Opened, once: UpstreamRequest, unusable: Reply, state: BreakerState
) -> None:
    async with Loopback(reply(500), unusable) as server:
        api = opened(server.url, failures_to_open=1, open_seconds=0)
        await expect_failures(api, once, UpstreamUnavailable, UnusableResponse)
    assert api.breaker.state is state

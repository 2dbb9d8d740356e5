"""Which requests are retried, when, and how."""

import itertools
import time
from datetime import UTC, datetime

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from govid.bus.upstream import UpstreamRateLimited, UpstreamRequest, UpstreamUnavailable
from govid.bus.upstream.resilience import parse_retry_after

from .conftest import Opened
from .loopback import Loopback, half, reply

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


@pytest.mark.parametrize("status", [408, 429, 502, 503, 504])
async def test_a_passing_trouble_is_tried_again_with_the_same_request_id(
    opened: Opened, call: UpstreamRequest, status: int
) -> None:
    async with Loopback(reply(status), reply(status), reply(200, b'{"id":"1"}')) as server:
        answer = await opened(server.url).request(call)
    assert answer.json() == {"id": "1"}
    assert [one.headers["x-request-id"] for one in server.seen] == [
        call.headers["X-Request-ID"]
    ] * 3


async def test_three_attempts_are_made_and_no_fourth(opened: Opened, call: UpstreamRequest) -> None:
    async with Loopback(reply(503)) as server:
        with pytest.raises(UpstreamUnavailable) as failure:
            await opened(server.url).request(call)
    assert failure.value.reason == "503"
    assert len(server.seen) == 3


async def test_a_call_that_may_not_be_repeated_is_sent_once(
    opened: Opened, once: UpstreamRequest
) -> None:
    async with Loopback(reply(503)) as server:
        with pytest.raises(UpstreamUnavailable):
            await opened(server.url).request(once)
    assert len(server.seen) == 1


@pytest.mark.parametrize("status", [500, 501, 505])
async def test_an_error_that_will_not_pass_is_not_tried_again(
    opened: Opened, call: UpstreamRequest, status: int
) -> None:
    async with Loopback(reply(status)) as server:
        with pytest.raises(UpstreamUnavailable, match="nhs"):
            await opened(server.url).request(call)
    assert len(server.seen) == 1


async def test_a_connection_that_breaks_is_tried_again(
    opened: Opened, call: UpstreamRequest
) -> None:
    async with Loopback(half(), reply(200)) as server:
        answer = await opened(server.url).request(call)
    assert answer.status == 200
    assert server.connections == 2


async def test_no_one_listening_is_tried_three_times(
    opened: Opened, call: UpstreamRequest, registry: CollectorRegistry
) -> None:
    async with Loopback(reply()) as server:
        url = server.url
    with pytest.raises(UpstreamUnavailable, match="nhs") as failure:
        await opened(url).request(call)
    assert failure.value.reason == "ConnectError"
    labels = {"department": "nhs", "operation": "patient.read", "outcome": "unavailable"}
    assert registry.get_sample_value("govid_department_seconds_count", labels) == 3


async def test_a_call_given_as_a_function_is_made_anew_for_each_attempt(
    opened: Opened, call: UpstreamRequest
) -> None:
    numbers = itertools.count(1)
    async with Loopback(reply(503), reply(503), reply(200)) as server:
        await opened(server.url).request(
            lambda: msgspec.structs.replace(call, body=b"jti=%d" % next(numbers))
        )
    assert [one.body for one in server.seen] == [b"jti=1", b"jti=2", b"jti=3"]


@pytest.mark.parametrize("status", [429, 503])
async def test_a_pause_that_was_asked_for_is_kept(
    opened: Opened, call: UpstreamRequest, status: int
) -> None:
    async with Loopback(reply(status, retry_after="1"), reply(200)) as server:
        began = time.monotonic()
        await opened(server.url).request(call)
    assert time.monotonic() - began >= 1


async def test_a_pause_beyond_the_deadline_is_left_to_the_caller(
    opened: Opened, call: UpstreamRequest
) -> None:
    async with Loopback(reply(429, retry_after="60")) as server:
        with pytest.raises(UpstreamRateLimited) as failure:
            await opened(server.url).request(call)
    assert failure.value.retry_after == 60
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("5", 5),
        ("Mon, 05 Jan 2026 12:00:30 GMT", 30),
        ("Mon, 05 Jan 2026 11:00:00 GMT", 0),
        ("soon", None),
        ("-1", None),
    ],
)
def test_a_pause_is_a_number_or_a_date(header: str | None, seconds: float | None) -> None:
    assert parse_retry_after(header, NOW) == seconds

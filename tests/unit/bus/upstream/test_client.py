"""Responses of a department arrive in time and in shape, or are errors."""

import asyncio
import time
from typing import Any

import msgspec
import pytest

from govid.bus.upstream import (
    Department,
    RequestPolicy,
    UnexpectedSimulator,
    UnusableResponse,
    UpstreamRateLimited,
    UpstreamRequest,
    UpstreamUnavailable,
    in_process_transport,
    rate_limited,
)

from .conftest import Opened
from .loopback import Loopback, Reply, endless, half, reply, silence


async def test_an_answer_has_status_headers_and_body(opened: Opened, call: UpstreamRequest) -> None:
    async with Loopback(
        reply(404, b'{"a":1}', kind="Application/JSON; charset=utf-8", ETag="W/2")
    ) as s:
        answer = await opened(s.url).request(call)
    assert (answer.status, answer.is_success, answer.json()) == (404, False, {"a": 1})
    assert answer.headers["etag"] == "W/2"


async def test_a_call_arrives_as_it_was_meant(opened: Opened, call: UpstreamRequest) -> None:
    search = msgspec.structs.replace(
        call, query=(("birthdate", "ge2010"), ("birthdate", "le2011")), accepts=("a/b", "c/d")
    )
    async with Loopback(reply(200, b"", kind="text/html")) as server:
        await opened(f"{server.url}/R4/").request(search)
    seen = server.seen[0]
    assert seen.line == "GET /R4/Patient/9434765919?birthdate=ge2010&birthdate=le2011 HTTP/1.1"
    assert seen.headers["accept"] == "a/b, c/d"
    assert seen.headers["accept-encoding"] == "identity"
    assert seen.headers["user-agent"] == "govid"


async def test_silence_ends_at_the_deadline(opened: Opened, call: UpstreamRequest) -> None:
    async with Loopback(silence()) as server:
        with pytest.raises(UpstreamUnavailable) as failure:
            await opened(server.url, total_seconds=0.2).request(call)
    assert failure.value.reason == "deadline"


async def test_the_deadline_is_one_for_all_attempts(opened: Opened, call: UpstreamRequest) -> None:
    async with Loopback(reply(503), silence()) as server:
        with pytest.raises(UpstreamUnavailable):
            await opened(server.url, total_seconds=0.2).request(call)
    assert len(server.seen) == 2


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (endless(), "too long"),
        (reply(200, b"x" * 2_000_000), "too long"),
        (reply(200, b"<p>", kind="text/html"), "content type"),
        (reply(404, b"<p>", kind="text/html"), "content type"),
        (reply(200, b"{}", content_encoding="gzip"), "content encoding"),
        (reply(302, b"", location="http://127.0.0.1:1/elsewhere"), "redirect"),
        (reply(304, b""), "redirect"),
    ],
    ids=["endless", "giant", "type", "type of an error", "packed", "redirect", "not modified"],
)
async def test_what_cannot_be_used_is_refused_and_not_repeated(
    opened: Opened, call: UpstreamRequest, sent: Reply, reason: str
) -> None:
    async with Loopback(sent) as server:
        with pytest.raises(UnusableResponse) as failure:
            await opened(server.url).request(call)
    assert failure.value.reason == reason
    assert len(server.seen) == 1


async def test_an_answer_that_breaks_off_is_none(opened: Opened, once: UpstreamRequest) -> None:
    async with Loopback(half()) as server:
        with pytest.raises(UpstreamUnavailable) as failure:
            await opened(server.url).request(once)
    assert failure.value.reason == "RemoteProtocolError"


@pytest.mark.parametrize("body", [b'{"id":', b"\xff\xfe", b"[" * 100_000])
async def test_a_body_that_is_no_json_is_unusable(
    opened: Opened, once: UpstreamRequest, body: bytes
) -> None:
    async with Loopback(reply(200, body)) as server:
        answer = await opened(server.url).request(once)
    with pytest.raises(UnusableResponse) as failure:
        answer.json()
    assert failure.value.__cause__ is None


async def test_calls_leave_no_faster_than_the_limit(opened: Opened, call: UpstreamRequest) -> None:
    async with Loopback(reply()) as server:
        api = opened(server.url, per_second=50)
        began = time.monotonic()
        await asyncio.gather(*(api.request(call) for _ in range(6)))
    assert time.monotonic() - began >= 0.1


async def test_whose_turn_does_not_come_in_time_is_informed(
    department: Department, call: UpstreamRequest
) -> None:
    limiter = rate_limited(0.01)
    assert limiter is not None
    await limiter.acquire()
    policy = RequestPolicy(total_seconds=0.1, failures_to_open=1)
    async with Loopback(reply()) as server:
        api = department.create_client("pds", server.url, policy, limiter)
        with pytest.raises(UpstreamRateLimited) as failure:
            await api.request(call)
        api.breaker.check()
    assert failure.value.reason == "own limit"
    assert server.seen == []


async def test_several_apis_can_take_turns_at_one_limit(
    department: Department, call: UpstreamRequest
) -> None:
    limiter = rate_limited(0.01)
    async with Loopback(reply()) as server:
        one = department.create_client("one", server.url, RequestPolicy(), limiter)
        other = department.create_client(
            "other", server.url, RequestPolicy(total_seconds=0.1), limiter
        )
        await one.request(call)
        with pytest.raises(UpstreamRateLimited) as failure:
            await other.request(call)
    assert failure.value.reason == "own limit"
    assert len(server.seen) == 1


async def test_a_simulator_is_refused_where_there_may_be_none(call: UpstreamRequest) -> None:
    department = Department("nhs", refuse_simulators=True)
    async with Loopback(reply(200, x_simulator="govid")) as server:
        with pytest.raises(UnexpectedSimulator):
            await department.create_client("pds", server.url).request(call)
    await department.close()


async def test_an_application_in_this_process_answers_alike(call: UpstreamRequest) -> None:
    async def application(scope: Any, _receive: Any, send: Any) -> None:
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b'{"path":"%s"}' % scope["raw_path"]})

    department = Department("nhs", transport=in_process_transport(application))
    answer = await department.create_client("pds", "http://nhs.simulator/R4").request(call)
    assert answer.json() == {"path": "/R4/Patient/9434765919"}
    await department.close()


async def test_an_application_in_this_process_that_raises_is_unavailable(
    call: UpstreamRequest,
) -> None:
    async def application(_scope: Any, _receive: Any, _send: Any) -> None:
        raise RuntimeError

    department = Department("nhs", transport=in_process_transport(application))
    with pytest.raises(UpstreamUnavailable) as failure:
        await department.create_client("pds", "http://nhs.simulator").request(call)
    assert failure.value.reason == "500"
    await department.close()


async def test_an_application_in_this_process_that_breaks_off_is_unavailable(
    call: UpstreamRequest,
) -> None:
    async def application(_scope: Any, _receive: Any, send: Any) -> None:
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b'{"id":', "more_body": True})

    department = Department("nhs", transport=in_process_transport(application))
    api = department.create_client("pds", "http://nhs.simulator", RequestPolicy(attempts=1))
    with pytest.raises(UpstreamUnavailable) as failure:
        await api.request(call)
    assert failure.value.reason == "RemoteProtocolError"
    await department.close()


async def test_an_application_in_this_process_that_hangs_meets_the_deadline(
    call: UpstreamRequest,
) -> None:
    async def application(_scope: Any, _receive: Any, _send: Any) -> None:
        await asyncio.Event().wait()

    department = Department("nhs", transport=in_process_transport(application))
    api = department.create_client("pds", "http://nhs.simulator", RequestPolicy(total_seconds=0.1))
    with pytest.raises(UpstreamUnavailable) as failure:
        await api.request(call)
    assert failure.value.reason == "deadline"
    await department.close()

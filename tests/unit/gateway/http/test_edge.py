"""The edge: what it tells about each request, and what it answers when something breaks."""

import logging

import pytest

from tests.unit.gateway.http.edge_application import CANARY, EdgeRecorder, build_edge, client


@pytest.fixture
def recorder() -> EdgeRecorder:
    return EdgeRecorder()


async def test_each_request_is_reported_twice_and_logged_once(recorder: EdgeRecorder) -> None:
    async with client(build_edge(recorder)) as http:
        await http.get("/?secret=1", headers={"X-Correlation-ID": "c-1", "User-Agent": "agent"})
    received, finished = recorder.activities
    assert received.message == "request received"
    assert finished.message == "request finished"
    assert received.method == finished.method == "GET"
    assert received.path == finished.path == "/"
    assert received.client_ip == "192.0.2.7"
    assert received.user_agent == "agent"
    assert received.correlation_id == finished.correlation_id == "c-1"
    assert received.request_id == finished.request_id
    assert received.request_id != "c-1"
    assert finished.status_code == 200
    assert finished.duration_ms > 0
    assert finished.user_id is None
    assert recorder.lines == [("/", 200)]


async def test_what_the_framework_refuses_is_reported_too(recorder: EdgeRecorder) -> None:
    async with client(build_edge(recorder)) as http:
        await http.get("/nowhere")
        await http.get("/" + "x" * 3000)
    assert [each.status_code for each in recorder.activities[1::2]] == [404, 414]


async def test_an_unforeseen_error_is_a_500_that_says_nothing(
    recorder: EdgeRecorder, caplog: pytest.LogCaptureFixture
) -> None:
    async with client(build_edge(recorder)) as http:
        answer = await http.get("/broken", headers={"X-Correlation-ID": "c-1"})
    assert answer.status_code == 500
    assert answer.json() == {
        "type": "urn:govid:problem:internal-error",
        "title": "Internal Server Error",
        "status": 500,
        "detail": "Something went wrong on our side (reference c-1)",
        "instance": "/broken",
    }
    ours = [record for record in caplog.records if record.name.startswith("govid")]
    assert [record.levelno for record in ours] == [logging.ERROR]
    assert recorder.activities[1].level == "ERROR"


async def test_debugging_reveals_no_more(recorder: EdgeRecorder) -> None:
    async with client(build_edge(recorder, debug=True)) as http:
        answer = await http.get("/broken")
    assert answer.headers["content-type"] == "application/problem+json"
    assert CANARY not in answer.text


async def test_an_error_outside_the_framework_is_a_500_too(recorder: EdgeRecorder) -> None:
    async def bare(_scope: object, _receive: object, _send: object) -> None:
        raise RuntimeError(CANARY)

    app = build_edge(recorder)
    app._app = bare
    async with client(app) as http:
        answer = await http.get("/")
    assert answer.status_code == 500
    assert answer.json()["type"] == "urn:govid:problem:internal-error"
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_who_is_busy_says_when_to_come_back(recorder: EdgeRecorder) -> None:
    async with client(build_edge(recorder)) as http:
        answer = await http.get("/busy")
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "7"
    assert answer.json()["detail"] == "Come back later"


async def test_a_user_agent_cannot_forge_a_line_and_is_cut(recorder: EdgeRecorder) -> None:
    agent = b"a\x1b[31m\xe2\x80\xa8" + b"x" * 500
    async with client(build_edge(recorder)) as http:
        await http.get("/", headers={b"user-agent": agent})
    reported = recorder.activities[0].user_agent
    assert reported.startswith("a\\u001b[31m")
    assert reported.isprintable()
    assert reported.count("x") == 256 - 9


async def test_places_in_lists_are_named(recorder: EdgeRecorder) -> None:
    async with client(build_edge(recorder)) as http:
        answer = await http.post("/numbers", json={"values": [1, 2, "3"]})
    assert answer.json()["errors"] == [
        {"loc": ["body", "values", 2], "msg": "must be a whole number", "type": "wrong_type"}
    ]


async def test_a_failed_start_is_reported_without_its_message(recorder: EdgeRecorder) -> None:
    async def fail() -> None:
        raise RuntimeError(CANARY)

    sent: list[dict[str, str]] = []

    async def receive() -> dict[str, str]:
        return {"type": "lifespan.startup"}

    async def send(message: dict[str, str]) -> None:
        sent.append(message)

    app = build_edge(recorder, on_startup=[fail])
    with pytest.raises(BaseExceptionGroup):
        await app({"type": "lifespan", "state": {}}, receive, send)
    assert sent == [{"type": "lifespan.startup.failed", "message": "lifespan.startup.failed"}]

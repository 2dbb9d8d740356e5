"""Traps of the framework that govid must not fall into; each was one once, somewhere."""

import json

import pytest
from litestar import Litestar, get

from govid.gateway.http.authentication import find_unguarded_routes
from tests.unit.gateway.http.edge_application import CANARY, EdgeRecorder, build_edge, client


@get("/api/nhs/health-records", permission="test")
async def health_records() -> None:
    """Stand at an address that holds the word of a public one."""


async def test_a_public_word_inside_an_address_opens_nothing() -> None:
    seen: list[str] = []

    async def guard(_connection: object, handler: object) -> None:
        seen.append(str(getattr(handler, "opt", {})))

    async with client(build_edge(EdgeRecorder(), health_records, guards=[guard])) as http:
        await http.get("/health")
        await http.get("/api/nhs/health-records")
    assert seen == ["{'public': 'test'}", "{'permission': 'test'}"]


def test_a_route_without_permission_or_reason_is_found() -> None:
    @get("/bare")
    async def bare() -> None: ...

    app = Litestar([bare, health_records], openapi_config=None)
    assert find_unguarded_routes(app.routes) == ["GET OPTIONS /bare"]


def test_the_frameworks_own_pages_would_be_found() -> None:
    assert find_unguarded_routes(Litestar([]).routes) != []


@pytest.mark.parametrize(
    "body", [b'{"values": ["1"]}', b'{"values": [true]}', b'{"values": [1.0]}']
)
async def test_nothing_is_converted(body: bytes) -> None:
    async with client(build_edge(EdgeRecorder())) as http:
        answer = await http.post(
            "/numbers", content=body, headers={"content-type": "application/json"}
        )
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["loc"] == ["body", "values", 0]


async def test_the_last_of_two_equal_keys_does_not_win() -> None:
    async with client(build_edge(EdgeRecorder())) as http:
        answer = await http.post(
            "/numbers",
            content=b'{"values": [1], "values": [2]}',
            headers={"content-type": "application/json"},
        )
    assert answer.status_code == 422


@pytest.mark.parametrize("body", [b"[" * 10_000, b'{"values": "\xff"}'])
async def test_deep_nesting_and_bad_encoding_are_no_server_errors(body: bytes) -> None:
    async with client(build_edge(EdgeRecorder())) as http:
        answer = await http.post(
            "/numbers", content=body, headers={"content-type": "application/json"}
        )
    assert answer.status_code == 422


async def test_a_problem_never_holds_the_query(caplog: pytest.LogCaptureFixture) -> None:
    async with client(build_edge(EdgeRecorder())) as http:
        answer = await http.get(f"/nowhere?{CANARY}")
    assert CANARY not in json.dumps(answer.json())
    ours = [record for record in caplog.records if record.name.startswith("govid")]
    assert CANARY not in str([record.__dict__ for record in ours])


async def test_methods_are_not_overridden() -> None:
    async with client(build_edge(EdgeRecorder())) as http:
        answer = await http.post("/", headers={"X-HTTP-Method-Override": "GET"})
    assert answer.status_code == 405


async def test_another_hosts_name_in_a_header_changes_nothing() -> None:
    recorder = EdgeRecorder()
    async with client(build_edge(recorder)) as http:
        headers = {"X-Forwarded-For": "198.51.100.1", "X-Forwarded-Host": "evil.example"}
        answer = await http.get("/", headers={**headers, "Forwarded": "for=198.51.100.1"})
    assert answer.status_code == 200
    assert recorder.activities[0].client_ip == "192.0.2.7"
    assert "evil.example" not in str(answer.headers)

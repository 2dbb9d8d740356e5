"""The framework's traps, over real HTTP and the whole application; one test or more for each.

The numbers are those of the list in which they were collected. Smaller ones are in
tests/unit/gateway/http/test_litestar_traps.py.
"""

import json
import re
import sys

import pytest

from tests.http.client import NIN, Client

REGISTER = "/api/auth/register"
PROFILE = "/api/auth/profile"


@pytest.mark.parametrize("path", ["/api/nhs/health-records", "/api/health/live", "/healthx"])
async def test_trap_1_a_public_word_inside_an_address_opens_nothing(
    visitor: Client, path: str
) -> None:
    assert (await visitor.get(path)).status_code == 404


async def test_trap_2_every_route_but_the_public_ones_wants_a_token(visitor: Client) -> None:
    paths = (await visitor.get("/openapi.json")).json()["paths"]
    guarded = [
        (method, re.sub("{.*?}", "0190a5a0-0000-7000-8000-000000000001", path))
        for path, methods in paths.items()
        for method, operation in methods.items()
        if operation["security"]
    ]
    answers = [await visitor.http.request(method.upper(), path) for method, path in guarded]
    assert len(guarded) >= 6
    assert {answer.status_code for answer in answers} == {401}
    # The guard comes before the body is looked at, and before the path is.
    assert {answer.headers["www-authenticate"] for answer in answers} == {"Bearer"}


@pytest.mark.parametrize("method", ["OPTIONS", "DELETE", "PUT", "PATCH"])
async def test_trap_2_what_is_reported_without_a_token_is_methods_only(
    visitor: Client, method: str
) -> None:
    answer = await visitor.http.request(method, PROFILE)
    assert answer.status_code in (204, 405)
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS"


@pytest.mark.parametrize("path", ["/schema", "/schema/openapi.json", "/docs/openapi.json"])
async def test_trap_2_the_frameworks_own_pages_are_not_served(visitor: Client, path: str) -> None:
    answer = await visitor.get(path)
    assert answer.status_code == 404


@pytest.mark.parametrize("value", ["1", "true", '["a"]', '{"a": 1}', "1.5"])
async def test_trap_3_no_value_becomes_text(visitor: Client, value: str) -> None:
    body = f'{{"email": {value}, "password": "password123"}}'
    answer = await visitor.post_raw("/api/auth/login", body.encode())
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["type"] == "wrong_type"


async def test_trap_3_text_is_not_read_as_json(visitor: Client) -> None:
    body = json.dumps(NIN).encode()
    assert (await visitor.post_raw(REGISTER, body, "text/plain")).status_code == 415


async def test_trap_3_of_two_equal_keys_neither_wins(visitor: Client) -> None:
    body = b'{"email": "a@example.com", "email": "b@example.com", "password": "password123"}'
    answer = await visitor.post_raw("/api/auth/login", body)
    assert answer.json()["errors"][0]["type"] == "duplicate_field"


async def test_trap_3_an_unknown_field_is_refused(visitor: Client) -> None:
    answer = await visitor.register(admin=True)
    assert answer.json()["errors"][0]["type"] == "unknown_field"


@pytest.mark.parametrize("body", [b"[" * 10_000, b'{"a":' * 3_000, b'{"email": "\xff\xfe"}'])
async def test_trap_4_depth_and_bad_utf_8_are_422(visitor: Client, body: bytes) -> None:
    assert (await visitor.post_raw(REGISTER, body)).status_code == 422


async def test_trap_5_what_is_not_valid_is_a_422_whose_title_quotes_nothing(
    client: Client,
) -> None:
    token = await client.citizen()
    answer = await client.get("/api/nhs/patients?limit=secret-word", token)
    assert answer.status_code == 422
    assert answer.json()["title"] == "Unprocessable Content"
    assert "secret-word" not in answer.text


@pytest.mark.parametrize("path", ["/nowhere?secret-word", "/api/auth/profile?secret-word"])
async def test_trap_5_no_problem_holds_the_query(visitor: Client, path: str) -> None:
    answer = await visitor.get(path)
    assert answer.headers["content-type"] == "application/problem+json"
    assert "secret-word" not in answer.text


def test_trap_6_the_frameworks_security_is_not_used() -> None:
    # Its rate limit reads, then writes, under a lock of one process; its JWT has one secret.
    unused = {"litestar.middleware.rate_limit", "litestar.security.jwt"}
    assert unused & sys.modules.keys() == set()


class TestNames:
    """Trap 7: hosts and origins."""

    @pytest.fixture
    def overrides(self) -> dict[str, object]:
        return {
            "GOVID_ALLOWED_HOSTS": "id.example",
            "GOVID_CORS_ORIGINS": "https://app.example",
        }

    @pytest.mark.parametrize(
        ("host", "status"),
        [
            ("id.example", 200),
            ("id.example:8000", 200),
            ("idxexample", 421),
            ("www.id.example", 421),
            ("id.example.evil", 421),
        ],
    )
    async def test_trap_7_a_host_is_compared_exactly_and_without_its_port(
        self, client: Client, host: str, status: int
    ) -> None:
        answer = await client.http.get("/", headers={"Host": host}, follow_redirects=False)
        assert answer.status_code == status

    @pytest.mark.parametrize("header", ["X-Forwarded-Host", "Forwarded"])
    async def test_trap_7_a_forwarded_host_is_not_believed(
        self, client: Client, header: str
    ) -> None:
        headers = {"Host": "evil.example", header: "id.example"}
        assert (await client.http.get("/", headers=headers)).status_code == 421

    @pytest.mark.parametrize("origin", ["https://appxexample", "https://app.example.evil"])
    async def test_trap_7_an_origin_is_no_pattern(self, client: Client, origin: str) -> None:
        headers = {"Host": "id.example", "Origin": origin}
        answer = await client.http.get("/", headers=headers)
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("size", [64 * 1024 + 1, 1_000_000])
async def test_trap_8_a_body_has_64_kib_and_not_ten_megabytes(visitor: Client, size: int) -> None:
    assert (await visitor.post_raw(REGISTER, b" " * size)).status_code == 413


async def test_trap_8_head_is_answered_where_get_is(visitor: Client) -> None:
    assert (await visitor.http.head("/")).status_code == 200
    assert (await visitor.http.head(PROFILE)).status_code == 401


async def test_trap_8_a_trailing_slash_has_the_same_guard(visitor: Client) -> None:
    assert (await visitor.get(f"{PROFILE}/")).status_code == 401


async def test_trap_8_of_two_parameters_of_one_name_neither_wins(client: Client) -> None:
    token = await client.citizen()
    answer = await client.get("/api/nhs/patients?limit=1&limit=1000", token)
    assert answer.status_code == 422


async def test_trap_9_refusals_are_counted_as_what_they_are(client: Client) -> None:
    await client.get(PROFILE)
    await client.get("/nowhere")
    metrics = (await client.get("/metrics")).text
    counted = [
        line for line in metrics.splitlines() if line.startswith("govid_http_requests_total{")
    ]
    assert [line for line in counted if 'status="401"' in line] != []
    assert [line for line in counted if 'status="404"' in line] != []


@pytest.mark.parametrize("page", ["/docs", "/docs/start.js"])
async def test_trap_9_the_pages_load_nothing_from_elsewhere(visitor: Client, page: str) -> None:
    answer = await visitor.get(page, follow_redirects=True)
    assert answer.status_code == 200
    assert "//cdn" not in answer.text
    assert "https://" not in answer.text

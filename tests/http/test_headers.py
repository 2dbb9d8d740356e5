"""What every answer carries, and which origins browsers may let read it."""

import pytest

from tests.http.client import Client

SECURITY = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}


@pytest.mark.parametrize(
    "path", ["/", "/nowhere", "/api/auth/profile", "/health", "/?" + "x" * 3000]
)
async def test_every_answer_has_the_security_headers(visitor: Client, path: str) -> None:
    headers = (await visitor.get(path)).headers
    assert {name: headers[name] for name in SECURITY} == SECURITY
    assert "server" not in headers
    assert "strict-transport-security" not in headers


async def test_the_process_time_is_reported(visitor: Client) -> None:
    elapsed_ms = float((await visitor.get("/")).headers["x-process-time-ms"])
    assert 0 < elapsed_ms < 10_000


async def test_a_correlation_id_is_taken(visitor: Client) -> None:
    answer = await visitor.http.get("/", headers={"X-Correlation-ID": "my-id_1.2"})
    assert answer.headers["x-correlation-id"] == "my-id_1.2"


@pytest.mark.parametrize("given", ["a b", "x" * 65, "ä".encode().decode("latin-1"), "a;b", ""])
async def test_an_odd_correlation_id_is_replaced(visitor: Client, given: str) -> None:
    answer = await visitor.http.get("/", headers={b"X-Correlation-ID": given.encode("latin-1")})
    assert answer.headers["x-correlation-id"] != given
    assert len(answer.headers["x-correlation-id"]) == 32


async def test_each_request_without_one_gets_its_own(visitor: Client) -> None:
    one, other = await visitor.get("/"), await visitor.get("/")
    assert one.headers["x-correlation-id"] != other.headers["x-correlation-id"]


async def test_head_answers_like_get_without_a_body(visitor: Client) -> None:
    head, get = await visitor.http.head("/"), await visitor.get("/")
    assert head.status_code == 200
    assert head.content == b""
    assert head.headers["content-length"] == get.headers["content-length"]
    assert (await visitor.http.head("/api/auth/profile")).status_code == 401


async def test_options_names_the_methods(visitor: Client) -> None:
    answer = await visitor.http.options("/api/nhs/patients")
    assert answer.status_code == 204
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS, POST"


async def test_a_trailing_slash_makes_no_difference(client: Client) -> None:
    token = await client.citizen()
    assert (await client.get("/api/auth/profile/", token)).status_code == 200


async def test_without_origins_no_browser_is_let_in(visitor: Client) -> None:
    answer = await visitor.http.get("/", headers={"Origin": "https://app.example"})
    assert [name for name in answer.headers if name.startswith("access-control")] == []


class TestOrigins:
    """Exact origins."""

    @pytest.fixture
    def overrides(self) -> dict[str, object]:
        return {
            "BACKEND_CORS_ORIGINS": "https://app.example,http://localhost:3000",
            "GOVID_PUBLIC_URL": "https://id.example",
        }

    async def test_a_known_origin_may_read(self, client: Client) -> None:
        answer = await client.http.get("/nowhere", headers={"Origin": "https://app.example"})
        assert answer.headers["access-control-allow-origin"] == "https://app.example"
        assert answer.headers["access-control-expose-headers"] == (
            "X-Correlation-ID, X-Process-Time-Ms, Link, Location, ETag, Retry-After, "
            "WWW-Authenticate"
        )
        assert answer.headers["vary"] == "Origin"
        assert "access-control-allow-credentials" not in answer.headers

    @pytest.mark.parametrize(
        "origin",
        ["https://appxexample", "https://app.example.evil", "https://evil.example", "null"],
    )
    async def test_another_may_not(self, client: Client, origin: str) -> None:
        answer = await client.http.get("/", headers={"Origin": origin})
        assert "access-control-allow-origin" not in answer.headers
        assert answer.headers["vary"] == "Origin"

    async def test_a_preflight_is_answered_at_the_edge(self, client: Client) -> None:
        answer = await client.http.options(
            "/api/auth/profile",
            headers={
                "Origin": "http://localhost:3000",
                "Access-Control-Request-Method": "GET",
                "Access-Control-Request-Headers": "authorization",
            },
        )
        assert answer.status_code == 204
        assert answer.headers["access-control-allow-origin"] == "http://localhost:3000"
        assert "Authorization" in answer.headers["access-control-allow-headers"]
        assert "GET" in answer.headers["access-control-allow-methods"]

    async def test_a_foreign_preflight_gets_nothing(self, client: Client) -> None:
        answer = await client.http.options(
            "/api/auth/profile",
            headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "GET"},
        )
        assert answer.status_code == 204
        assert [n for n in answer.headers if n.startswith("access-control")] == []

    async def test_under_https_browsers_are_asked_to_stay_there(self, client: Client) -> None:
        answer = await client.get("/")
        assert answer.headers["strict-transport-security"] == (
            "max-age=31536000; includeSubDomains"
        )

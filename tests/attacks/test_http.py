"""HTTP: malformed requests that no client sends and that proxies have let pass."""

import gzip

import httpx
import pytest

from tests.attacks.wire import Wire
from tests.http.client import NIN, Client

REGISTER = "/api/auth/register"
LOGIN = "/api/auth/login"
PROFILE = "/api/auth/profile"
TYPE = "Content-Type: application/json"


class TestFraming:
    """Where one request ends and the next begins: one reading only."""

    async def test_a_length_and_chunks_are_a_400(self, wire: Wire) -> None:
        body = b"0\r\n\r\nGET /api/auth/profile HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        status, answer = await wire.post(
            LOGIN, body, f"Content-Length: {len(body)}", "Transfer-Encoding: chunked"
        )
        assert status == 400
        assert answer.count(b"HTTP/1.1 ") == 1

    @pytest.mark.parametrize(
        "headers",
        [
            pytest.param(["Content-Length: 2", "Content-Length: 4"], id="two lengths"),
            pytest.param(["Content-Length: 2, 4"], id="a list of lengths"),
            pytest.param(["Content-Length: +2"], id="a sign"),
            pytest.param(["Content-Length: 0x2"], id="hexadecimal"),
            pytest.param(["Content-Length: -1"], id="negative"),
            pytest.param(["Content-Length: 99999999999999999999999"], id="beyond 64 bits"),
            pytest.param(["Transfer-Encoding: chunked, identity"], id="chunked not last"),
            pytest.param(["Transfer-Encoding: xchunked"], id="an unknown coding"),
            pytest.param(["Transfer-Encoding : chunked"], id="a space before the colon"),
            pytest.param(["Transfer-Encoding:\x0bchunked"], id="a vertical tab"),
        ],
    )
    async def test_an_ambiguous_length_is_a_400(self, wire: Wire, headers: list[str]) -> None:
        status, answer = await wire.post(LOGIN, b"{}", *headers)
        assert status == 400
        assert answer.count(b"HTTP/1.1 ") == 1

    @pytest.mark.parametrize(
        "header", ["X-A: b\x00c", "X-A: b\nX-B: c", "X-A: b\r X-B: c", "X A: b", "X-A\x00: b"]
    )
    async def test_a_broken_header_is_a_400_or_two_headers_and_nothing_else(
        self, wire: Wire, header: str
    ) -> None:
        _, answer = await wire.get(PROFILE, header)
        assert answer.count(b"HTTP/1.1 ") == 1
        assert answer.split(b" ", 2)[1] in (b"400", b"401")

    async def test_nothing_of_a_request_becomes_a_header_of_the_answer(self, wire: Wire) -> None:
        _, answer = await wire.get("/%0d%0aSet-Cookie:%20evil=1?x=%0d%0aX-Evil:%201")
        head = answer.split(b"\r\n\r\n")[0].lower()
        assert b"evil" not in head

    async def test_ten_thousand_headers_are_a_431(self, wire: Wire) -> None:
        status, _ = await wire.get(PROFILE, *[f"X-{number}: y" for number in range(10_000)])
        assert status == 431

    async def test_a_hundred_megabytes_are_refused_before_they_are_sent(self, wire: Wire) -> None:
        status, answer = await wire.post(REGISTER, b"{", "Content-Length: 104857600")
        assert status == 413
        assert b"connection: close" in answer

    async def test_trailers_change_nothing(self, wire: Wire, genuine: str) -> None:
        body = f"2\r\n{{}}\r\n0\r\nAuthorization: Bearer {genuine}\r\n\r\n".encode()
        status, _ = await wire.post("/api/hmrc/tax-records", body, "Transfer-Encoding: chunked")
        assert status == 401

    async def test_an_offer_to_upgrade_is_not_taken(self, wire: Wire) -> None:
        status, _ = await wire.get(
            PROFILE, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAAA"
        )
        assert status == 401

    async def test_a_target_with_a_host_of_its_own_leads_nowhere_else(self, wire: Wire) -> None:
        status, answer = await wire.get("http://evil.example/api/auth/profile")
        assert status == 401
        assert b"evil.example" not in answer


class TestBodies:
    """What a body may hold; tests/http/test_bodies.py has most of it."""

    async def test_a_gzip_bomb_is_not_unpacked(self, visitor: Client) -> None:
        bomb = gzip.compress(b"[" * 50_000_000)
        answer = await visitor.post_raw(REGISTER, bomb, **{"content-encoding": "gzip"})
        assert answer.status_code == 415

    @pytest.mark.parametrize("coding", ["deflate", "br", "zstd", "gzip, gzip", "identity, gzip"])
    async def test_no_coding_is_undone(self, visitor: Client, coding: str) -> None:
        answer = await visitor.post_raw(REGISTER, b"{}", **{"content-encoding": coding})
        assert answer.status_code == 415

    @pytest.mark.parametrize(
        "amount", ["true", '"1e3"', "[1]", '{"a": 1}', "1e400", "NaN", "-0", '"0x10"', "1.001"]
    )
    async def test_an_amount_is_a_number_with_two_decimals(
        self, visitor: Client, genuine: str, amount: str
    ) -> None:
        body = (
            '{"name": "A", "taxNumber": "1000057161", "taxYear": "2022-2023", "taxAmount": '
            + amount
            + "}"
        )
        answer = await visitor.post_raw(
            "/api/hmrc/tax-records", body.encode(), Authorization=f"Bearer {genuine}"
        )
        assert answer.status_code == 422

    @pytest.mark.parametrize(
        "extra",
        [
            "role",
            "roles",
            "assurance",
            "person_id",
            "verified",
            "isVerified",
            "status",
            "tokens_valid_after",
            "id",
            "userId",
            "user_id",
            "created_at",
            "__proto__",
            "auth_provider",
        ],
    )
    async def test_no_one_assigns_what_is_not_theirs(self, visitor: Client, extra: str) -> None:
        answer = await visitor.register(**{extra: "verified"})
        assert answer.status_code == 422
        assert [fault["type"] for fault in answer.json()["errors"]] == ["unknown_field"]


class TestAddresses:
    """Other spellings of an address are other addresses, or the same one with the same guard."""

    @pytest.mark.parametrize(
        ("target", "status"),
        [
            ("/api/auth/profile", 401),
            ("/api/auth/profile/", 401),
            ("//api/auth/profile", 404),
            ("/api//auth/profile", 404),
            ("/api/auth/../auth/profile", 404),
            ("/api/auth/%2e%2e/auth/profile", 404),
            ("/api/auth/%2E%2E%2Fauth/profile", 404),
            ("/api/auth%2fprofile", 404),
            ("/api/auth/profile;x=1", 404),
            ("/api/auth/profile%00", 404),
            ("/api/auth/profile%20", 404),
            ("/API/auth/profile", 404),
            ("/api/auth/Profile", 404),
            ("/api/auth/profile.json", 404),
            ("/health/../api/auth/profile", 404),
            ("/health/%2e%2e/api/auth/profile", 404),
            ("/docs/..%2fapi/auth/profile", 404),
        ],
    )
    async def test_no_spelling_goes_round_the_guard(
        self, wire: Wire, target: str, status: int
    ) -> None:
        found, answer = await wire.get(target)
        assert found == status
        assert b"urn:govid:problem:" in answer

    @pytest.mark.parametrize(
        "target",
        [
            "//",
            "//metrics",
            "/health//live",
            "/health/live//",
            "/api%2Fauth%2Fprofile",
            "/health%2flive",
            "/health%5Clive",
            "/health\\live",
            "/./health/live",
            "/health/.",
            "/health/live/..",
            "/health/%2e/live",
            "/health/.%2E/health/live",
            "/docs/%2e%2e/docs/start.js",
        ],
    )
    @pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
    async def test_d9_no_empty_or_dot_segment_and_no_encoded_slash_is_routed(
        self, wire: Wire, target: str, method: str
    ) -> None:
        status, answer = await wire.status(
            f"{method} {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode()
        )
        assert status == 404
        assert b"urn:govid:problem:not-found" in answer
        assert b"\r\nlocation:" not in answer.lower()

    @pytest.mark.parametrize(
        "target", ["/", "/health/live", "/health/live/", "/docs/start%2ejs", "/health/live?x=//../"]
    )
    async def test_d9_ordinary_paths_stay_as_they_are(self, wire: Wire, target: str) -> None:
        status, _ = await wire.get(target)
        assert status == 200

    @pytest.mark.parametrize(
        "header",
        ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "X-Original-URL"],
    )
    async def test_no_header_changes_method_or_address(self, visitor: Client, header: str) -> None:
        answer = await visitor.http.get(PROFILE, headers={header: "/health"})
        assert answer.status_code == 401

    @pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND", "PURGE"])
    async def test_an_odd_method_reveals_nothing(self, visitor: Client, method: str) -> None:
        secret = {"Authorization": "Bearer secret-word", "Cookie": "secret-word=1"}
        answer = await visitor.http.request(method, PROFILE, headers=secret)
        assert answer.status_code in (400, 405)
        assert "secret-word" not in answer.text

    @pytest.mark.parametrize("query", ["limit=1&limit=2", "limit=1&%6cimit=2", "limit&limit"])
    async def test_a_parameter_that_occurs_twice_is_a_422(
        self, visitor: Client, genuine: str, query: str
    ) -> None:
        answer = await visitor.get(f"/api/nhs/patients?{query}", genuine)
        assert answer.status_code == 422
        assert answer.json()["errors"] == [
            {"loc": ["query", "limit"], "msg": "is given twice", "type": "duplicate_parameter"}
        ]

    async def test_a_token_in_the_address_is_no_token(self, visitor: Client, genuine: str) -> None:
        answer = await visitor.get(f"{PROFILE}?access_token={genuine}")
        assert answer.status_code == 401

    async def test_a_token_in_a_cookie_is_no_token(self, visitor: Client, genuine: str) -> None:
        cookie = {"Cookie": f"access_token={genuine}; Authorization=Bearer {genuine}"}
        assert (await visitor.http.get(PROFILE, headers=cookie)).status_code == 401


class TestLookAlikes:
    """Origins that look like ours."""

    @pytest.fixture
    def overrides(self) -> dict[str, object]:
        return {"GOVID_CORS_ORIGINS": "https://app.example.gov"}

    @pytest.mark.parametrize(
        "origin",
        [
            "https://appxexample.gov",
            "https://app.example.gov.evil.example",
            "https://evil-app.example.gov",
            "http://app.example.gov",
            "https://app.example.gov:8443",
            "https://app.example.gov/",
            "HTTPS://APP.EXAMPLE.GOV",
            "https://app.example.gov, https://evil.example",
            "null",
            "*",
        ],
    )
    async def test_only_the_very_origin_may_read(self, client: Client, origin: str) -> None:
        answer: httpx.Response = await client.http.get("/", headers={"Origin": origin})
        assert "access-control-allow-origin" not in answer.headers
        assert answer.headers["vary"] == "Origin"


async def test_the_same_body_means_the_same_to_everyone(visitor: Client) -> None:
    doubled = b'{"email": "a@example.com", "email": "b@example.com", "password": "x"}'
    answer = await visitor.post_raw(LOGIN, doubled)
    assert answer.status_code == 422
    assert NIN["email"] not in answer.text

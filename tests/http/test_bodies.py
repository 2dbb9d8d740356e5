"""Bad input gets a clear answer that names the place, and never holds the value."""

import json
from typing import Any

import pytest

from tests.http.client import NIN, Client

REGISTER = "/api/auth/register"
CANARY = "canary-7f3a"


def body(**changes: Any) -> bytes:
    return json.dumps({**NIN, **changes}).encode()


@pytest.mark.parametrize(
    ("sent", "loc", "kind"),
    [
        pytest.param(b"", ["body"], "missing", id="nothing"),
        pytest.param(b'{"email": ', ["body"], "json_malformed", id="cut off"),
        pytest.param(body() + b"x", ["body"], "json_malformed", id="something behind it"),
        pytest.param(b"[]", ["body"], "wrong_type", id="a list"),
        pytest.param(b"null", ["body"], "wrong_type", id="null"),
        pytest.param(b"{}", ["body", "email"], "missing", id="nothing in it"),
        pytest.param(body(email=1), ["body", "email"], "wrong_type", id="a number for text"),
        pytest.param(body(email=None), ["body", "email"], "wrong_type", id="null for text"),
        pytest.param(body(email=[CANARY]), ["body", "email"], "wrong_type", id="a list for text"),
        pytest.param(body(admin=True), ["body", "admin"], "unknown_field", id="an unknown field"),
        pytest.param(body(**{CANARY: 1}), ["body"], "unknown_field", id="an odd unknown field"),
        pytest.param(
            body(identifierType=CANARY),
            ["body", "identifierType"],
            "not_allowed",
            id="no such type",
        ),
        pytest.param(
            body(email=f"{CANARY}\0@example.com"), ["body", "email"], "nul_character", id="NUL"
        ),
        pytest.param(b'{"email": "\\ud800"}', ["body", "email"], "encoding", id="half a surrogate"),
        pytest.param(b'{"\\udc00": 1}', ["body"], "encoding", id="half a surrogate as a name"),
        pytest.param(
            b'{"email": "\x01"}', ["body"], "json_malformed", id="a raw control character"
        ),
        pytest.param(b'{"email": NaN}', ["body"], "json_malformed", id="NaN"),
        pytest.param(b'{"email": -Infinity}', ["body"], "json_malformed", id="infinity by name"),
        pytest.param(b'{"email": 1e400}', ["body", "email"], "out_of_range", id="1e400"),
        pytest.param(body(email=2**63), ["body", "email"], "out_of_range", id="beyond int64"),
        pytest.param(
            b'{"email": ' + b"9" * 5_000 + b"}", ["body", "email"], "out_of_range", id="5000 digits"
        ),
        # Read once for each escaped quote, these would hold the whole process up for 20 seconds.
        pytest.param(
            b'{"a":"' + b'\\"' * 8_000,
            ["body"],
            "json_malformed",
            id="quotes without end",
            marks=pytest.mark.timeout(10),
        ),
        pytest.param(
            b'{"a":"' + b'\\"' * 8_000 + b"\\",
            ["body"],
            "json_malformed",
            id="quotes without end, and half of one",
            marks=pytest.mark.timeout(10),
        ),
        pytest.param(b"[" * 10_000, ["body"], "too_deep", id="10,000 lists deep"),
        pytest.param(b'{"a":' * 3_000, ["body"], "too_deep", id="3,000 objects deep"),
        pytest.param(b"[" * 33 + b"]" * 33, ["body"], "too_deep", id="33 deep"),
        pytest.param(b"[" * 32 + b"]" * 32, ["body"], "wrong_type", id="32 deep is not too deep"),
        pytest.param(b'{"email": "\xff"}', ["body"], "encoding", id="invalid UTF-8"),
        pytest.param(b"\xef\xbb\xbf" + body(), ["body"], "json_malformed", id="byte order mark"),
        pytest.param(body().decode().encode("utf-16"), ["body"], "encoding", id="UTF-16"),
        pytest.param(
            b'{"email": "a@example.com", "email": "b@example.com"}',
            ["body"],
            "duplicate_field",
            id="a field twice",
        ),
        pytest.param(
            body(email=f"{'a' * 300}@example.com"),
            ["body", "email"],
            "email_too_long",
            id="an email of 300 characters",
        ),
        pytest.param(body(email=CANARY), ["body", "email"], "email_format", id="no email"),
        pytest.param(
            body(password="x" * 7), ["body", "password"], "password_too_short", id="short password"
        ),
        pytest.param(
            body(password="x" * 10_000),
            ["body", "password"],
            "password_too_long",
            id="long password",
        ),
        pytest.param(
            body(identifierValue=f"QQ{CANARY}"),
            ["body", "identifierValue"],
            "nino_format",
            id="no National Insurance number",
        ),
        pytest.param(
            body(identifierType="NHS", identifierValue="9434765918"),
            ["body", "identifierValue"],
            "nhs_number_format",
            id="an NHS number whose check digit is wrong",
        ),
        pytest.param(
            body(phoneNumber=CANARY), ["body", "phoneNumber"], "phone_number_format", id="no phone"
        ),
    ],
)
async def test_a_bad_body_is_a_422_that_names_the_place(
    visitor: Client, sent: bytes, loc: list[str], kind: str
) -> None:
    answer = await visitor.post_raw(REGISTER, sent)
    problem = answer.json()
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["type"] == "urn:govid:problem:invalid-request"
    assert problem["title"] == "Unprocessable Content"
    assert problem["instance"] == REGISTER
    assert [(fault["loc"], fault["type"]) for fault in problem["errors"]] == [(loc, kind)]
    assert problem["errors"][0]["msg"] in problem["detail"]
    assert CANARY not in answer.text


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/msgpack",
        "application/json; charset=utf-16",
        "application/jsonx",
    ],
)
async def test_a_body_that_is_not_json_is_a_415(visitor: Client, content_type: str | None) -> None:
    answer = await visitor.post_raw(REGISTER, body(), content_type)
    assert answer.status_code == 415
    assert answer.json()["type"] == "urn:govid:problem:unsupported-media-type"


@pytest.mark.parametrize("content_type", ["application/json;charset=UTF-8", "Application/JSON"])
async def test_the_media_type_is_read_as_it_is_meant(client: Client, content_type: str) -> None:
    assert (await client.post_raw(REGISTER, body(), content_type)).status_code == 201


async def test_a_compressed_body_is_a_415(visitor: Client) -> None:
    answer = await visitor.post_raw(REGISTER, b"\x1f\x8b", **{"content-encoding": "gzip"})
    assert answer.status_code == 415


@pytest.mark.parametrize("size", [64 * 1024 + 1, 1_000_000, 2_000_000])
async def test_a_large_body_is_a_413_and_the_connection_lives_on(
    visitor: Client, size: int
) -> None:
    answer = await visitor.post_raw(REGISTER, b"x" * size)
    assert answer.status_code == 413
    assert answer.json()["type"] == "urn:govid:problem:body-too-large"
    assert "connection" not in answer.headers


@pytest.mark.parametrize(
    ("path", "size"),
    [
        ("/api/auth/register", 16 * 1024),
        ("/api/auth/login", 16 * 1024),
        ("/api/hmrc/tax-records", 16 * 1024),
        ("/api/nhs/patients", 64 * 1024),
        ("/api/nhs/appointments", 64 * 1024),
    ],
)
class TestD4Sizes:
    """A route without long text takes less."""

    async def test_d4_a_body_at_the_limit_is_read(
        self, visitor: Client, genuine: str, path: str, size: int
    ) -> None:
        answer = await visitor.post_raw(path, b" " * size, authorization=f"Bearer {genuine}")
        assert answer.status_code == 422

    async def test_d4_a_body_beyond_the_limit_is_a_413(
        self, visitor: Client, genuine: str, path: str, size: int
    ) -> None:
        answer = await visitor.post_raw(path, b" " * (size + 1), authorization=f"Bearer {genuine}")
        assert answer.status_code == 413
        assert answer.json()["type"] == "urn:govid:problem:body-too-large"
        assert "connection" not in answer.headers


async def test_d4_the_longest_record_fits(client: Client) -> None:
    token = await client.citizen()
    record = {"name": "A" * 200, "nhsNumber": "9434765919", "medicalHistory": "\U0001f600" * 10_000}
    encoded = json.dumps(record, ensure_ascii=False).encode()
    answer = await client.post_raw("/api/nhs/patients", encoded, authorization=f"Bearer {token}")
    assert answer.status_code == 201


async def test_a_large_body_without_a_length_is_a_413(visitor: Client) -> None:
    async def chunks() -> Any:
        for _ in range(20):
            yield b"x" * 10_000

    answer = await visitor.http.post(
        REGISTER, content=chunks(), headers={"content-type": "application/json"}
    )
    assert answer.status_code == 413


async def test_numbers_are_not_read_out_of_text(client: Client) -> None:
    token = await client.citizen()
    answer = await client.post(
        "/api/hmrc/tax-records",
        {"name": 5, "taxNumber": "1000057161", "taxYear": "2022-2023", "taxAmount": 1},
        token,
    )
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["loc"] == ["body", "name"]

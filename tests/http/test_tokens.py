"""Invalid tokens: each is refused by the same 401."""

import base64
import json
from datetime import UTC, datetime

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from govid.bus import Database
from tests.http.client import Client

PROFILE = "/api/auth/profile"


def parts(token: str) -> tuple[dict[str, object], dict[str, object]]:
    """Return header and claims of *token*."""
    return jwt.get_unverified_header(token), jwt.decode(token, options={"verify_signature": False})


def forged(token: str, **changes: object) -> str:
    """Return *token* with other claims, signed by a stranger's key."""
    header, claims = parts(token)
    return jwt.encode(
        {**claims, **changes},
        ec.generate_private_key(ec.SECP256R1()),
        algorithm="ES256",
        headers=header,
    )


def unsigned(token: str) -> str:
    """Return *token* as one that claims to need no signature."""
    header, claims = parts(token)
    halves = [json.dumps(half).encode() for half in ({**header, "alg": "none"}, claims)]
    return ".".join(base64.urlsafe_b64encode(half).decode().rstrip("=") for half in halves) + "."


async def refused(client: Client, token: str) -> None:
    answer = await client.get(PROFILE, token)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert answer.json()["type"] == "urn:govid:problem:invalid-token"
    assert token not in answer.text


async def test_a_token_of_a_stranger_is_refused(client: Client) -> None:
    await refused(client, forged(await client.citizen()))


async def test_an_unsigned_token_is_refused(client: Client) -> None:
    await refused(client, unsigned(await client.citizen()))


async def test_a_changed_token_is_refused(client: Client) -> None:
    head, claims, signature = (await client.citizen()).split(".")
    await refused(client, f"{head}.{claims[:-4]}AAAA.{signature}")


@pytest.mark.parametrize("token", ["x", "a.b.c", "." * 3, "ey" * 4000, "é"])
async def test_what_is_no_token_is_refused(visitor: Client, token: str) -> None:
    answer = await visitor.http.get(
        PROFILE, headers={b"Authorization": f"Bearer {token}".encode("latin-1")}
    )
    assert answer.status_code == 401
    assert answer.json()["type"] == "urn:govid:problem:invalid-token"


@pytest.mark.parametrize("header", ["", "Bearer", "Basic eDp5", "Token abc", "bearerabc"])
async def test_another_scheme_is_no_token(visitor: Client, header: str) -> None:
    answer = await visitor.http.get(PROFILE, headers={"Authorization": header})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_the_scheme_is_read_in_any_case(client: Client) -> None:
    token = await client.citizen()
    answer = await client.http.get(PROFILE, headers={"Authorization": f"bEARER {token}"})
    assert answer.status_code == 200


async def test_two_tokens_are_none(client: Client) -> None:
    token = await client.citizen()
    header = ("Authorization", f"Bearer {token}")
    answer = await client.http.get(PROFILE, headers=[header, header])
    assert answer.status_code == 401


async def test_a_revoked_session_ends_at_once(client: Client, database: Database) -> None:
    token = await client.citizen()
    assert (await client.get(PROFILE, token)).status_code == 200
    await database.reads.execute(
        "UPDATE identity.session SET revoked_at = clock_timestamp(), revoked_reason = 'test'"
    )
    await refused(client, token)


async def test_an_expired_session_ends_at_once(client: Client, database: Database) -> None:
    token = await client.citizen()
    await database.reads.execute(
        "UPDATE identity.session SET created_at = created_at - interval '2 days',"
        " absolute_expires_at = clock_timestamp()"
    )
    await refused(client, token)


class TestLifetime:
    """A token of a second."""

    @pytest.fixture
    def overrides(self) -> dict[str, object]:
        return {"GOVID_ACCESS_TOKEN_EXPIRE_MINUTES": 1 / 60}

    async def test_a_token_expires_when_it_says(self, client: Client) -> None:
        _, claims = parts(await client.citizen())
        assert claims["exp"] == int(claims["iat"]) + 1  # type: ignore[call-overload]
        assert datetime.fromtimestamp(float(claims["exp"]), UTC)  # type: ignore[arg-type]


class TestSharedSecret:
    """HS256, as the prototype had it."""

    @pytest.fixture
    def overrides(self) -> dict[str, object]:
        return {"GOVID_ALGORITHM": "HS256", "GOVID_SECRET_KEY": "a shared secret of 32 bytes or so"}

    async def test_a_token_is_signed_and_believed(self, client: Client) -> None:
        token = await client.citizen()
        assert parts(token)[0]["alg"] == "HS256"
        assert (await client.get(PROFILE, token)).status_code == 200

    async def test_no_public_key_is_published(self, client: Client) -> None:
        assert (await client.get("/.well-known/jwks.json")).json() == {"keys": []}

"""JWT and JWKS: only an unchanged token of govid is accepted."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.attacks.tokens import SECRET, encode, parts, signed
from tests.http.client import Client

PROFILE = "/api/auth/profile"
Claims = dict[str, Any]


def is_refused(answer: httpx.Response) -> None:
    """Every bad token gets this one answer, so that none of them teaches anything."""
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert answer.json() == {
        "type": "urn:govid:problem:invalid-token",
        "title": "Unauthorized",
        "status": 401,
        "detail": "The access token is not valid",
        "instance": PROFILE,
    }


@pytest.mark.parametrize("alg", ["none", "None", "nOnE", "NONE", ""])
async def test_r9_no_signature_at_all(visitor: Client, genuine: str, alg: str) -> None:
    header, claims = parts(genuine)
    halves = [json.dumps(one).encode() for one in ({**header, "alg": alg}, claims)]
    is_refused(await visitor.get(PROFILE, f"{encode(halves[0])}.{encode(halves[1])}."))


@pytest.mark.parametrize("form", ["pem", "jwk", "empty", "point"])
async def test_r9_the_public_key_as_a_shared_secret(
    visitor: Client, genuine: str, form: str
) -> None:
    header, claims = parts(genuine)
    jwk = (await visitor.get("/.well-known/jwks.json")).json()["keys"][0]
    public = jwt.PyJWK(jwk).key
    secrets = {
        "pem": public.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ),
        "jwk": json.dumps(jwk).encode(),
        "empty": b"",
        "point": public.public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        ),
    }
    is_refused(
        await visitor.get(PROFILE, signed({**header, "alg": "HS256"}, claims, secrets[form]))
    )


@pytest.mark.parametrize("alg", ["RS256", "PS256"])
async def test_r9_another_kind_of_key(visitor: Client, genuine: str, alg: str) -> None:
    header, claims = parts(genuine)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    is_refused(await visitor.get(PROFILE, jwt.encode(claims, key, alg, {**header, "alg": alg})))


async def test_r9_a_key_that_comes_with_the_token(visitor: Client, genuine: str) -> None:
    header, claims = parts(genuine)
    key = ec.generate_private_key(ec.SECP256R1())
    jwk = jwt.get_algorithm_by_name("ES256").to_jwk(key.public_key(), as_dict=True)
    is_refused(await visitor.get(PROFILE, jwt.encode(claims, key, "ES256", {**header, "jwk": jwk})))


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:{port}/keys", "http://169.254.169.254/latest/meta-data"]
)
@pytest.mark.parametrize("member", ["jku", "x5u"])
async def test_r9_no_address_in_a_token_is_ever_fetched(
    visitor: Client, genuine: str, member: str, url: str
) -> None:
    header, claims = parts(genuine)
    asked: list[object] = []
    listener = await asyncio.start_server(lambda _, writer: asked.append(writer), "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    key = ec.generate_private_key(ec.SECP256R1())
    token = jwt.encode(claims, key, "ES256", {**header, member: url.format(port=port)})
    is_refused(await visitor.get(PROFILE, token))
    listener.close()
    await listener.wait_closed()
    assert asked == []


@pytest.mark.parametrize(
    "forge",
    [
        pytest.param(lambda token: f"{token}.{token.split('.')[1]}", id="four parts"),
        pytest.param(lambda token: ".".join([*token.split("."), "AAAA", "AAAA"]), id="five: JWE"),
        pytest.param(lambda token: ".".join(token.split(".")[:2]), id="two parts"),
        pytest.param(lambda token: f"{token}=", id="padding"),
        pytest.param(lambda token: f"{token[:-1]}%3D", id="escaped"),
        pytest.param(lambda token: f"{token[:20]} {token[20:]}", id="space inside"),
        pytest.param(
            lambda token: json.dumps(
                {
                    "payload": token.split(".")[1],
                    "signatures": [
                        {"protected": token.split(".")[0], "signature": token.split(".")[2]},
                        {"protected": token.split(".")[0], "signature": "AAAA"},
                    ],
                }
            ),
            id="two signatures in the JSON form",
        ),
        pytest.param(lambda token: token + "A" * 4096, id="longer than 4096"),
    ],
)
async def test_r9_another_form_of_a_good_token(
    visitor: Client, genuine: str, forge: Callable[[str], str]
) -> None:
    is_refused(await visitor.get(PROFILE, forge(genuine)))


async def test_r9_key_ids_that_no_one_knows_fetch_nothing(visitor: Client, genuine: str) -> None:
    header, claims = parts(genuine)
    before = (await visitor.get("/.well-known/jwks.json")).json()
    answers = [
        await visitor.get(PROFILE, signed({**header, "kid": f"kid-{number}"}, claims, b"x"))
        for number in range(200)
    ]
    assert {answer.status_code for answer in answers} == {401}
    assert (await visitor.get("/.well-known/jwks.json")).json() == before


class TestWithTheRightKey:
    """The attacker has the key: what is refused is refused for what the token says."""

    async def test_the_yardstick_passes(self, insider: Client, shared_secret_token: str) -> None:
        header, claims = parts(shared_secret_token)
        answer = await insider.get(PROFILE, signed(header, claims, SECRET))
        assert answer.status_code == 200

    @pytest.mark.parametrize(
        "member",
        [
            {"crit": ["x"]},
            {"crit": []},
            {"b64": False},
            {"b64": False, "crit": ["b64"]},
            {"jwk": {"kty": "oct", "k": "AAAA"}},
            {"jku": "https://evil.example/keys"},
            {"x5u": "https://evil.example/keys"},
            {"x5c": ["AAAA"]},
            {"zip": "DEF"},
            {"typ": "JWT"},
            {"typ": "at+JWT"},
            {"typ": "logout+jwt"},
            {"typ": "refresh+jwt"},
            {"typ": "secevent+jwt"},
            {"typ": None},
            {"alg": "HS512"},
            {"alg": "hs256"},
            {"kid": "../../dev/null"},
            {"kid": "/dev/null"},
            {"kid": "' OR 1=1 --"},
            {"kid": "x' UNION SELECT 'AA"},
            {"kid": "ключ"},
            {"kid": ""},
            {"kid": None},
            {"kid": ["a", "b"]},
            {"kid": {"$ne": None}},
            {"kid": 1},
            {"kid": "k" * 3_000},
        ],
    )
    async def test_r9_a_header_that_says_anything_else(
        self, insider: Client, shared_secret_token: str, member: dict[str, Any]
    ) -> None:
        header, claims = parts(shared_secret_token)
        is_refused(await insider.get(PROFILE, signed({**header, **member}, claims, SECRET)))

    @pytest.mark.parametrize(
        "change",
        [
            pytest.param(lambda c: {"exp": str(c["exp"])}, id="exp text"),
            pytest.param(lambda c: {"exp": c["exp"] + 0.5}, id="exp float"),
            pytest.param(lambda _: {"exp": -1}, id="exp negative"),
            pytest.param(lambda _: {"exp": 2**63}, id="exp 2^63"),
            pytest.param(lambda _: {"exp": True}, id="exp bool"),
            pytest.param(lambda c: {"exp": c["iat"] - 60}, id="exp past"),
            pytest.param(lambda c: {"exp": c["exp"] + 10}, id="a longer life than configured"),
            pytest.param(lambda c: {"nbf": c["nbf"] + 600}, id="nbf future"),
            pytest.param(lambda c: {"iat": c["iat"] + 600, "exp": c["exp"] + 600}, id="iat future"),
            pytest.param(lambda c: {"aud": [c["aud"]]}, id="aud list"),
            pytest.param(lambda _: {"aud": "govid-api-2"}, id="aud other"),
            pytest.param(lambda c: {"iss": c["iss"] + "/"}, id="iss slash"),
            pytest.param(lambda c: {"iss": c["iss"][:-1]}, id="iss prefix"),
            pytest.param(lambda c: {"iss": c["iss"].upper()}, id="iss case"),
            pytest.param(lambda c: {"iss": [c["iss"]]}, id="iss list"),
            pytest.param(lambda c: {"sub": c["sub"].upper() + "x"}, id="sub no UUID"),
            pytest.param(lambda c: {"sub": c["sid"]}, id="sub that owns no such session"),
            pytest.param(lambda c: {"sid": c["sub"]}, id="sid unknown"),
            pytest.param(lambda _: {"sid": None}, id="sid null"),
            pytest.param(lambda _: {"jti": 1}, id="jti number"),
        ],
    )
    async def test_r9_claims_that_say_anything_else(
        self, insider: Client, shared_secret_token: str, change: Callable[[Claims], Claims]
    ) -> None:
        header, claims = parts(shared_secret_token)
        forged = signed(header, {**claims, **change(claims)}, SECRET)
        is_refused(await insider.get(PROFILE, forged))

    @pytest.mark.parametrize("claim", ["sub", "exp", "aud"])
    async def test_r9_a_claim_that_occurs_twice(
        self, insider: Client, shared_secret_token: str, claim: str
    ) -> None:
        header, claims = parts(shared_secret_token)
        text = json.dumps(claims)
        doubled = f'{{"{claim}": {json.dumps(claims[claim])}, {text[1:]}'
        is_refused(await insider.get(PROFILE, signed(header, doubled, SECRET)))

    async def test_r9_a_header_member_that_occurs_twice(
        self, insider: Client, shared_secret_token: str
    ) -> None:
        header, claims = parts(shared_secret_token)
        text = json.dumps(header)
        doubled = f'{{"alg": "HS256", {text[1:]}'
        is_refused(await insider.get(PROFILE, signed(doubled, claims, SECRET)))

    async def test_r8_what_a_token_claims_to_be_allowed_is_ignored(
        self, insider: Client, shared_secret_token: str
    ) -> None:
        header, claims = parts(shared_secret_token)
        more = {"role": "operator", "status": "verified", "scope": "admin", "acr": "Cl.Cm"}
        answer = await insider.get(PROFILE, signed(header, {**claims, **more}, SECRET))
        assert answer.status_code == 200
        assert (
            answer.json()["status"] == "pending_verification"
            or answer.json()["id"] == claims["sub"]
        )

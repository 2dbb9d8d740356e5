"""Access tokens: the expected shape, and every forgery of the catalogue of attacks."""

import json
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from govid.identity.errors import InvalidToken
from govid.identity.repository.signing_keys import SigningKeyRepository
from govid.identity.settings import IdentitySettings
from govid.identity.tokens import jws
from govid.identity.tokens.access_tokens import MAX_CACHED, AccessTokens
from govid.identity.tokens.signing_keys import (
    Keyring,
    TokenKey,
    generate_signing_key,
    load_shared_secret,
    load_signing_key,
)

ISSUER = "https://govid.example"
ACCOUNT = UUID("0190a5a0-0000-7000-8000-000000000001")
SESSION = UUID("0190a5a0-0000-7000-8000-000000000002")
KEY = load_signing_key(generate_signing_key())
NOW = datetime.now(UTC).replace(microsecond=0)


class SetClock:
    """A clock that a test sets."""

    def __init__(self, moment: datetime) -> None:
        self.moment = moment

    def now(self) -> datetime:
        return self.moment


def tokens(key: TokenKey = KEY, moment: datetime = NOW) -> AccessTokens:
    keyring = Keyring(IdentitySettings(issuer=ISSUER), None, SigningKeyRepository())  # type: ignore[arg-type]  # nothing is loaded
    keyring.replace_keys(key)
    return AccessTokens(keyring, SetClock(moment), issuer=ISSUER, lifetime=1800)


def issue(issuer: AccessTokens) -> str:
    return issuer.issue(
        account_id=ACCOUNT, session_id=SESSION, client_id="govid", acr="Cl", auth_time=NOW
    )


def claims(**changes: Any) -> dict[str, Any]:
    now = int(NOW.timestamp())
    plain = {
        "iss": ISSUER,
        "sub": str(ACCOUNT),
        "aud": "govid-api",
        "client_id": "govid",
        "iat": now,
        "nbf": now,
        "exp": now + 1800,
        "auth_time": now,
        "jti": "0123456789abcdefghijkl",
        "sid": str(SESSION),
        "acr": "Cl",
        "scope": "govid",
    }
    return {**plain, **changes}


def signed(
    header: dict[str, Any] | str | None = None,
    payload: dict[str, Any] | str | None = None,
    key: TokenKey = KEY,
) -> str:
    """Return a token with a good signature over whatever is given."""
    plain = {"alg": key.algorithm, "typ": "at+jwt", "kid": key.kid}
    head = header if isinstance(header, str) else json.dumps({**plain, **(header or {})})
    body = payload if isinstance(payload, str) else json.dumps(payload or claims())
    signing_input = f"{jws.encode_base64url(head.encode())}.{jws.encode_base64url(body.encode())}"
    algorithm = jwt.get_algorithm_by_name(key.algorithm)
    signature = algorithm.sign(signing_input.encode(), algorithm.prepare_key(key.signing))
    return f"{signing_input}.{jws.encode_base64url(signature)}"


def refused(token: str, verifier: AccessTokens | None = None) -> None:
    with pytest.raises(InvalidToken) as refusal:
        (verifier or tokens()).verify(token)
    assert refusal.value.detail == "The access token is not valid"


def verdict(token: str, verifier: AccessTokens) -> str:
    try:
        verifier.verify(token)
    except InvalidToken as refusal:
        return refusal.detail
    return "believed"


def test_r8_header_and_claims_are_exactly_these() -> None:
    token = issue(tokens())
    parts = jws.parse_token(token)
    jti = parts.claims["jti"]
    assert parts.header == {"alg": "ES256", "typ": "at+jwt", "kid": KEY.kid}
    assert parts.claims == claims(jti=jti)
    assert len(jws.decode_base64url(jti)) == 16


def test_no_two_tokens_share_an_id() -> None:
    issuer = tokens()
    assert (
        jws.parse_token(issue(issuer)).claims["jti"] != jws.parse_token(issue(issuer)).claims["jti"]
    )


@pytest.mark.parametrize("key", [KEY, load_shared_secret(b"s" * 32)], ids=["es256", "hs256"])
def test_a_token_names_its_account_and_session(key: TokenKey) -> None:
    verifier = tokens(key)
    verified = verifier.verify(issue(verifier))
    assert (verified.account_id, verified.session_id) == (ACCOUNT, SESSION)
    assert verified.valid_until == NOW + timedelta(seconds=1830)


def test_the_yardstick_of_this_file_passes() -> None:
    assert tokens().verify(signed()).account_id == ACCOUNT


def test_unknown_claims_are_ignored() -> None:
    assert tokens().verify(signed(payload=claims(role="operator"))).account_id == ACCOUNT


@pytest.mark.parametrize("claim", sorted(claims()))
def test_r8_without_any_one_claim_it_is_refused(claim: str) -> None:
    payload = claims()
    del payload[claim]
    refused(signed(payload=payload))


@pytest.mark.parametrize("algorithm", ["none", "None", "nOnE", "HS256", "RS256", "ES384", "", None])
def test_r9_an_algorithm_that_is_not_the_keys_is_refused(algorithm: str | None) -> None:
    refused(signed({"alg": algorithm}))


def test_r9_an_unsigned_token_is_refused() -> None:
    refused(jwt.encode(claims(), None, "none", {"typ": "at+jwt", "kid": KEY.kid}))
    refused(signed().rpartition(".")[0] + ".")


PEM = KEY.verifying.public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)


@pytest.mark.parametrize(
    "secret", [PEM, json.dumps(KEY.jwk).encode(), b"\0" * 32], ids=["pem", "jwk", "zeroes"]
)
def test_r9_the_public_key_is_no_shared_secret(secret: bytes) -> None:
    key = TokenKey(kid=KEY.kid, algorithm="HS256", signing=secret, verifying=secret)
    signing_input = signed(
        key=TokenKey(kid=KEY.kid, algorithm="ES256", signing=KEY.signing, verifying=None)
    )
    header = jws.encode_base64url(
        json.dumps({"alg": "HS256", "typ": "at+jwt", "kid": key.kid}).encode()
    )
    message = f"{header}.{signing_input.split('.')[1]}"
    algorithm = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    refused(f"{message}.{jws.encode_base64url(algorithm.sign(message.encode(), secret))}")


def test_r9_a_stranger_with_the_right_key_id_is_refused() -> None:
    stranger = ec.generate_private_key(ec.SECP256R1())
    refused(signed(key=TokenKey(kid=KEY.kid, algorithm="ES256", signing=stranger, verifying=None)))


def test_r9_another_kind_of_key_is_refused() -> None:
    stranger = rsa.generate_private_key(65537, 2048)
    refused(signed(key=TokenKey(kid=KEY.kid, algorithm="RS256", signing=stranger, verifying=None)))


@pytest.mark.parametrize(
    "member",
    [
        {"crit": ["x"]},
        {"b64": False},
        {"b64": False, "crit": ["b64"]},
        {"jwk": KEY.jwk},
        {"jku": "http://localhost/jwks.json"},
        {"jku": "http://169.254.169.254/"},
        {"x5u": "http://localhost/cert.pem"},
        {"x5c": ["MIIB"]},
        {"x5t": "abc"},
        {"zip": "DEF"},
        {"cty": "JWT"},
    ],
)
def test_r9_a_header_that_says_more_is_refused(member: dict[str, Any]) -> None:
    refused(signed(member))


@pytest.mark.parametrize(
    "kid",
    ["../../dev/null", "' OR 1=1 --", "k" * 3000, "клю́ч", "", None, 7, [KEY.kid], {"k": KEY.kid}],
)
def test_r9_a_key_id_that_is_not_ours_is_refused(kid: object) -> None:
    refused(signed({"kid": kid}))


def test_r9_ten_thousand_unknown_keys_are_looked_for_nowhere_else() -> None:
    # The keyring of this file has no database: a request for a key from it would fail.
    verifier = tokens()
    _, _, rest = signed().partition(".")
    heads = [json.dumps({"alg": "ES256", "typ": "at+jwt", "kid": f"k{n}"}) for n in range(10_000)]
    verdicts = {
        verdict(f"{jws.encode_base64url(head.encode())}.{rest}", verifier) for head in heads
    }
    assert verdicts == {"The access token is not valid"}
    assert not verifier._verified_tokens


@pytest.mark.parametrize(
    "typ",
    ["JWT", "AT+JWT", "application/at+jwt", "logout+jwt", "secevent+jwt", "rt+jwt", "", None, 7],
)
def test_r9_a_token_of_another_type_is_refused(typ: object) -> None:
    refused(signed({"typ": typ}))


@pytest.mark.parametrize("name", ["alg", "typ", "kid"])
def test_r9_a_header_that_says_less_is_refused(name: str) -> None:
    header = {"alg": "ES256", "typ": "at+jwt", "kid": KEY.kid}
    del header[name]
    refused(signed(json.dumps(header)))


def test_r9_a_member_that_occurs_twice_is_refused() -> None:
    header = f'{{"alg":"none","alg":"ES256","typ":"at+jwt","kid":"{KEY.kid}"}}'
    payload = json.dumps(claims())
    refused(signed(header))
    refused(signed(payload=payload[:-1] + f', "sub": "{SESSION}"}}'))


@pytest.mark.parametrize("name", ["iat", "nbf", "exp", "auth_time"])
@pytest.mark.parametrize(
    "value", ["1767225600", 1767225600.5, 1.0, -1, 0, 2**53, 2**63, True, None, [], 1e308]
)
def test_r9_a_time_that_is_no_whole_number_of_seconds_is_refused(name: str, value: object) -> None:
    refused(signed(payload=claims(**{name: value})))


def test_r9_an_infinite_time_is_refused() -> None:
    payload = json.dumps(claims(exp="@"))
    refused(signed(payload=payload.replace('"@"', "1e400")))
    refused(signed(payload=payload.replace('"@"', "NaN")))
    refused(signed(payload=payload.replace('"@"', "9" * 1000)))


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": int(NOW.timestamp()) - 31, "iat": int(NOW.timestamp()) - 1000},
        {"nbf": int(NOW.timestamp()) + 1200},
        {"iat": int(NOW.timestamp()) + 1200},
        {"exp": int(NOW.timestamp()) + 1801},
        {"exp": int(NOW.timestamp()) - 5, "iat": int(NOW.timestamp())},
    ],
    ids=["expired", "not yet valid", "not yet issued", "too long", "over before it began"],
)
def test_r9_a_token_out_of_its_time_is_refused(changes: dict[str, int]) -> None:
    refused(signed(payload=claims(**changes)))


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": ["govid-api"]},
        {"aud": "another"},
        {"aud": None},
        {"iss": ISSUER + "/"},
        {"iss": ISSUER + ".evil.example"},
        {"iss": ISSUER.upper()},
        {"iss": [ISSUER]},
        {"sub": "ada"},
        {"sub": 7},
        {"sid": "x"},
        {"jti": 7},
        {"scope": ["govid"]},
    ],
)
def test_r9_a_claim_that_is_not_ours_is_refused(changes: dict[str, Any]) -> None:
    refused(signed(payload=claims(**changes)))


def _padded(token: str) -> str:
    return token + "="


def _standard_alphabet(token: str) -> str:
    header, body, signature = token.split(".")
    return f"{header}.{body}.{b64encode(jws.decode_base64url(signature)).decode()}"


def _loose_bits(token: str) -> str:
    # 64 bytes of signature end in a character of which four bits say nothing.
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return token[:-1] + alphabet[alphabet.index(token[-1]) | 1]


@pytest.mark.parametrize(
    "spoil",
    [
        _padded,
        _standard_alphabet,
        _loose_bits,
        lambda token: "",
        lambda token: "..",
        lambda token: token + ".x",
        lambda token: token + "..x.y",
        lambda token: token.partition(".")[2],
        lambda token: " " + token,
        lambda token: token + "\n",
        lambda token: token.replace(".", "\u2024"),
        lambda token: json.dumps({"payload": token, "signatures": [{}, {}]}),
        lambda token: token[:-8] + "AAAAAAAA",
        lambda token: token + "A" * 4096,
        lambda token: "\ud800" + token,
        lambda token: token.upper(),
    ],
)
def test_r9_a_token_in_another_spelling_is_refused(spoil: Callable[[str], str]) -> None:
    refused(spoil(signed()))


@pytest.mark.parametrize("text", ["[]", "null", "7", '"x"', "", "{", "[" * 900, "\ufeff{}"])
def test_r9_parts_that_are_no_objects_are_refused(text: str) -> None:
    refused(signed(text))
    refused(signed(payload=text or " "))


def test_no_key_no_token() -> None:
    token = issue(tokens())
    other = load_signing_key(generate_signing_key())
    refused(token, tokens(other))


def test_a_remembered_signature_does_not_outlive_its_token() -> None:
    clock = SetClock(NOW)
    verifier = tokens()
    verifier._clock = clock
    token = issue(verifier)
    verifier.verify(token)
    clock.moment = NOW + timedelta(seconds=1829)
    assert verifier.verify(token).account_id == ACCOUNT
    clock.moment = NOW + timedelta(seconds=1830)
    refused(token, verifier)
    assert not verifier._verified_tokens


def test_a_bad_token_is_not_remembered() -> None:
    verifier = tokens()
    refused(signed({"alg": "none"}), verifier)
    assert not verifier._verified_tokens


def test_the_memory_of_signatures_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_CACHED == 10_000
    monkeypatch.setattr("govid.identity.tokens.access_tokens.MAX_CACHED", 2)
    verifier = tokens()
    first, second, third = issue(verifier), issue(verifier), issue(verifier)
    verifier.verify(first)
    verifier.verify(second)
    verifier.verify(third)
    assert len(verifier._verified_tokens) == 2
    assert verifier.verify(first).account_id == ACCOUNT

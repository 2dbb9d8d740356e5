"""C1: of several faults in a request for a token, the first in the NHS's order is reported."""

from typing import Any
from uuid import uuid4

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from govid.nhs.simulator import NhsSimulator
from tests.departments.nhs.token_requests import MISSING, NhsRequests

HERE = "in client_assertion JWT"
FAR = 4_000_000_000


@pytest.fixture(scope="module")
def other_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def reported(answer: Any) -> str:
    return str(answer.json()["error_description"])


async def test_the_content_type_comes_before_the_form(asking: NhsRequests) -> None:
    answer = await asking.token(content_type="application/json", client_assertion_type="x")
    assert reported(answer) == "Content-Type header must be application/x-www-form-urlencoded"


async def test_the_form_comes_before_the_assertion(asking: NhsRequests) -> None:
    answer = await asking.token("a.b", client_assertion_type="x")
    assert reported(answer).startswith("Missing or invalid client_assertion_type")


async def test_the_algorithm_comes_before_the_claims(asking: NhsRequests) -> None:
    answer = await asking.token(asking.signed({"exp": 1}, algorithm="RS256"))
    assert reported(answer).startswith(f"Invalid 'alg' header {HERE}")


@pytest.mark.parametrize(
    ("claims", "headers", "description"),
    [
        ({"exp": 1}, {"kid": MISSING}, f"Invalid 'exp' claim {HERE} - JWT has expired"),
        ({}, {"kid": MISSING, "typ": "x"}, f"Missing 'kid' header {HERE}"),
        ({"exp": MISSING}, {"typ": "x"}, f"Invalid 'typ' header {HERE} - must be 'JWT'"),
        ({"exp": MISSING, "iss": "x"}, {}, f"Missing 'exp' claim {HERE}"),
        ({"exp": "x", "iss": "x"}, {}, f"Invalid 'exp' claim {HERE} - must be an integer"),
        (
            {"iss": "x", "jti": MISSING},
            {},
            f"Missing or non-matching 'iss'/'sub' claims {HERE}",
        ),
        ({"exp": FAR, "jti": MISSING}, {}, f"Missing 'jti' claim {HERE}"),
        (
            {"exp": FAR, "jti": 1},
            {},
            f"Invalid 'jti' claim {HERE} - must be a unique string value such as a GUID",
        ),
        (
            {"exp": FAR, "iss": "x", "sub": "x"},
            {},
            f"Invalid 'exp' claim {HERE} - more than 5 minutes in future",
        ),
        (
            {"iss": "x", "sub": "x"},
            {"kid": "other"},
            f"Invalid 'iss'/'sub' claims {HERE}",
        ),
        (
            {"aud": "elsewhere"},
            {"kid": "other"},
            f"Invalid 'kid' header {HERE} - no matching public key",
        ),
    ],
)
async def test_of_two_faults_the_first_in_the_order_is_said(
    asking: NhsRequests, claims: dict[str, object], headers: dict[str, object], description: str
) -> None:
    assert reported(await asking.token(asking.signed(claims, headers))) == description


async def test_a_replay_comes_before_a_life_that_is_too_long(asking: NhsRequests) -> None:
    jti = str(uuid4())
    await asking.token(asking.signed({"jti": jti}))
    answer = await asking.token(asking.signed({"jti": jti, "exp": FAR}))
    assert reported(answer) == f"Non-unique 'jti' claim {HERE}"


@pytest.mark.parametrize(
    ("changes", "description"),
    [
        (
            {"keys": {}, "jwks_is_reachable": False},
            "You need to register a public key to use this authentication method",
        ),
        (
            {"jwks_is_reachable": False},
            "The JWKS endpoint, for your client_assertion can't be reached",
        ),
    ],
)
async def test_the_clients_keys_come_before_their_ids(
    asking_simulator: NhsRequests,
    simulator: NhsSimulator,
    changes: dict[str, object],
    description: str,
) -> None:
    client = simulator.clients[simulator.client_id]
    simulator.clients[simulator.client_id] = msgspec.structs.replace(client, **changes)
    answer = await asking_simulator.token(asking_simulator.signed({}, {"kid": "other"}))
    assert reported(answer) == description


async def test_the_id_of_the_key_comes_before_the_signature(
    asking: NhsRequests, other_key: rsa.RSAPrivateKey
) -> None:
    answer = await asking.token(asking.signed({}, {"kid": "other"}, key=other_key))
    assert reported(answer) == f"Invalid 'kid' header {HERE} - no matching public key"


async def test_the_signature_comes_before_the_audience(
    asking: NhsRequests, other_key: rsa.RSAPrivateKey
) -> None:
    answer = await asking.token(asking.signed({"aud": "elsewhere"}, key=other_key))
    assert reported(answer) == "JWT signature verification failed"


async def test_no_time_is_allowed_for_what_has_expired(asking: NhsRequests) -> None:
    answer = await asking.token(asking.signed({"exp": asking.now()}))
    assert reported(answer) == f"Invalid 'exp' claim {HERE} - JWT has expired"

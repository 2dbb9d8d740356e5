"""C1: the NHS's tokens for applications that sign for themselves."""

import time
from datetime import timedelta
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from govid.nhs.simulator import NhsSimulator
from tests.departments.clock import MovingClock
from tests.departments.nhs.token_requests import MISSING, NhsRequests

HERE = "in client_assertion JWT"
TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def reported(answer: Any) -> tuple[int, str, str]:
    body = answer.json()
    return (answer.status_code, body["error"], body["error_description"])


async def test_a_signed_assertion_gets_a_token(asking: NhsRequests) -> None:
    answer = await asking.token()
    body = answer.json()
    assert answer.status_code == 200
    assert body["expires_in"] == "599"
    assert body["token_type"] == "Bearer"
    assert abs(int(body["issued_at"]) / 1000 - time.time()) < 30
    assert len(body["access_token"]) >= 20


async def test_a_shorter_life_can_be_asked_for_and_a_longer_one_not(asking: NhsRequests) -> None:
    short = await asking.token(_access_token_expiry_ms="5000")
    long = await asking.token(_access_token_expiry_ms="6000000")
    assert (short.json()["expires_in"], long.json()["expires_in"]) == ("4", "599")


@pytest.mark.parametrize(
    "content_type", ["application/json", "application/x-www-form-urlencoded; charset=utf-8"]
)
async def test_only_the_exact_content_type_is_taken(asking: NhsRequests, content_type: str) -> None:
    answer = await asking.token(content_type=content_type)
    assert reported(answer) == (
        415,
        "invalid_request",
        "Content-Type header must be application/x-www-form-urlencoded",
    )


@pytest.mark.parametrize(
    ("changes", "error", "description"),
    [
        ({"grant_type": MISSING}, "invalid_request", "grant_type is missing"),
        ({"grant_type": "password"}, "unsupported_grant_type", "grant_type is invalid"),
        ({"client_assertion": MISSING}, "invalid_request", "Missing client_assertion"),
        ({"client_assertion": "a.b"}, "invalid_request", "Malformed JWT in client_assertion"),
        ({"client_assertion": "W10.e30.x"}, "invalid_request", "Malformed JWT in client_assertion"),
        (
            {"client_assertion_type": MISSING},
            "invalid_request",
            f"Missing or invalid client_assertion_type - must be '{TYPE}'",
        ),
        (
            {"client_assertion_type": "jwt"},
            "invalid_request",
            f"Missing or invalid client_assertion_type - must be '{TYPE}'",
        ),
    ],
)
async def test_what_is_wrong_with_the_form_is_said(
    asking: NhsRequests, changes: dict[str, object], error: str, description: str
) -> None:
    assert reported(await asking.token(**changes)) == (400, error, description)


@pytest.mark.parametrize(
    ("claims", "headers", "status", "description"),
    [
        ({}, {"kid": MISSING}, 400, f"Missing 'kid' header {HERE}"),
        ({}, {"typ": MISSING}, 400, f"Invalid 'typ' header {HERE} - must be 'JWT'"),
        ({}, {"typ": "JWS"}, 400, f"Invalid 'typ' header {HERE} - must be 'JWT'"),
        ({"exp": MISSING}, {}, 400, f"Missing 'exp' claim {HERE}"),
        ({"exp": "soon"}, {}, 400, f"Invalid 'exp' claim {HERE} - must be an integer"),
        ({"exp": 4e9 + 0.5}, {}, 400, f"Invalid 'exp' claim {HERE} - must be an integer"),
        ({"exp": 1}, {}, 400, f"Invalid 'exp' claim {HERE} - JWT has expired"),
        (
            {"exp": 4_000_000_000},
            {},
            400,
            f"Invalid 'exp' claim {HERE} - more than 5 minutes in future",
        ),
        ({"iss": MISSING}, {}, 400, f"Missing or non-matching 'iss'/'sub' claims {HERE}"),
        ({"sub": "other"}, {}, 400, f"Missing or non-matching 'iss'/'sub' claims {HERE}"),
        ({"jti": MISSING}, {}, 400, f"Missing 'jti' claim {HERE}"),
        (
            {"jti": 1},
            {},
            400,
            f"Invalid 'jti' claim {HERE} - must be a unique string value such as a GUID",
        ),
        ({"iss": "x", "sub": "x"}, {}, 401, f"Invalid 'iss'/'sub' claims {HERE}"),
        ({}, {"kid": "other"}, 401, f"Invalid 'kid' header {HERE} - no matching public key"),
        ({"aud": MISSING}, {}, 401, f"Missing or invalid 'aud' claim {HERE}"),
        (
            {"aud": "https://api.service.nhs.uk/oauth2/token"},
            {},
            401,
            f"Missing or invalid 'aud' claim {HERE}",
        ),
    ],
)
async def test_what_is_wrong_with_the_assertion_is_said(
    asking: NhsRequests,
    claims: dict[str, object],
    headers: dict[str, object],
    status: int,
    description: str,
) -> None:
    answer = await asking.token(asking.signed(claims, headers))
    assert reported(answer) == (status, "invalid_request", description)


async def test_the_type_may_be_written_in_small_letters(asking: NhsRequests) -> None:
    assert (await asking.token(asking.signed({}, {"typ": "jwt"}))).status_code == 200


@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "PS512"])
async def test_no_other_algorithm_is_taken(asking: NhsRequests, algorithm: str) -> None:
    answer = await asking.token(asking.signed(algorithm=algorithm))
    assert reported(answer) == (
        400,
        "invalid_request",
        f"Invalid 'alg' header {HERE} - unsupported JWT algorithm - must be 'RS512'",
    )


async def test_another_key_signs_for_no_one(asking: NhsRequests) -> None:
    answer = await asking.token(asking.signed(key=rsa.generate_private_key(65537, 2048)))
    assert reported(answer) == (401, "public_key error", "JWT signature verification failed")


async def test_a_jti_works_once(asking: NhsRequests) -> None:
    assertion = asking.signed()
    assert (await asking.token(assertion)).status_code == 200
    assert reported(await asking.token(assertion)) == (
        400,
        "invalid_request",
        f"Non-unique 'jti' claim {HERE}",
    )


async def test_a_jti_is_burnt_by_a_later_fault(asking: NhsRequests) -> None:
    jti = str(uuid4())
    await asking.token(asking.signed({"jti": jti, "aud": "elsewhere"}))
    answer = await asking.token(asking.signed({"jti": jti}))
    assert reported(answer)[2] == f"Non-unique 'jti' claim {HERE}"


async def test_a_jti_is_not_burnt_by_an_earlier_fault(asking: NhsRequests) -> None:
    jti = str(uuid4())
    await asking.token(asking.signed({"jti": jti, "exp": 4_000_000_000}))
    assert (await asking.token(asking.signed({"jti": jti}))).status_code == 200


@pytest.mark.parametrize(("days", "status"), [(29.9, 400), (30.1, 200)])
async def test_a_jti_is_remembered_for_thirty_days(
    asking_simulator: NhsRequests, clock: MovingClock, days: float, status: int
) -> None:
    jti = str(uuid4())
    await asking_simulator.token(asking_simulator.signed({"jti": jti}))
    clock.ahead = timedelta(days=days)
    later = int(clock.now().timestamp()) + 60
    answer = await asking_simulator.token(asking_simulator.signed({"jti": jti, "exp": later}))
    assert answer.status_code == status


@pytest.mark.parametrize(("seconds", "status"), [(309, 200), (312, 400)])
async def test_ten_seconds_of_another_clock_are_forgiven(
    asking: NhsRequests, seconds: int, status: int
) -> None:
    answer = await asking.token(asking.signed({"exp": int(time.time()) + seconds}))
    assert answer.status_code == status


@pytest.mark.parametrize(
    ("changes", "description"),
    [
        ({"keys": {}}, "You need to register a public key to use this authentication method"),
        (
            {"jwks_is_reachable": False},
            "The JWKS endpoint, for your client_assertion can't be reached",
        ),
    ],
)
async def test_a_client_without_a_public_key_is_informed(
    asking_simulator: NhsRequests,
    simulator: NhsSimulator,
    changes: dict[str, object],
    description: str,
) -> None:
    client = simulator.clients[simulator.client_id]
    simulator.clients[simulator.client_id] = msgspec.structs.replace(client, **changes)
    assert reported(await asking_simulator.token()) == (403, "public_key error", description)


async def test_a_token_ends(asking_simulator: NhsRequests, clock: MovingClock) -> None:
    token = {"Authorization": f"Bearer {await asking_simulator.access_token()}"}
    first = await asking_simulator.pds("/Patient/9000000009", headers=token)
    clock.ahead = timedelta(seconds=601)
    second = await asking_simulator.pds("/Patient/9000000009", headers=token)
    assert (first.status_code, second.status_code) == (200, 401)

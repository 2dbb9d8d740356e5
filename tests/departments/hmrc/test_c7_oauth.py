"""C7: HMRC's tokens for applications that act for themselves."""

from base64 import b64encode
from datetime import timedelta
from typing import Any

import httpx
import pytest
from msgspec import structs

from govid.hmrc.simulator import HmrcSimulator
from tests.departments.clock import MovingClock
from tests.departments.hmrc.api_requests import MISSING, HmrcRequests


def reported(answer: httpx.Response) -> tuple[int, str, str]:
    body = answer.json()
    return answer.status_code, body["error"], body["error_description"]


async def test_an_application_gets_a_token_for_four_hours(asking: HmrcRequests) -> None:
    answer = await asking.token()
    body = answer.json()
    assert answer.status_code == 200
    assert body["expires_in"] == 14400
    assert body["token_type"] == "bearer"
    assert len(body["access_token"]) >= 20
    assert set(body) == {"access_token", "token_type", "expires_in"}


async def test_a_scope_that_was_asked_for_is_named(asking: HmrcRequests) -> None:
    answer = await asking.token(scope=asking.target.scope)
    assert answer.json()["scope"] == asking.target.scope


@pytest.mark.parametrize(
    ("changes", "description"),
    [
        ({"client_id": MISSING}, "client_id is required"),
        ({"client_secret": MISSING}, "client_secret is required"),
        ({"grant_type": MISSING}, "grant_type is required"),
        ({"client_id": MISSING, "grant_type": "password"}, "client_id is required"),
        ({"grant_type": "password"}, "unsupported grant_type"),
        ({"grant_type": "password", "client_secret": "wrong"}, "unsupported grant_type"),
    ],
)
async def test_what_is_wrong_with_the_form_is_said_in_order(
    asking: HmrcRequests, changes: dict[str, Any], description: str
) -> None:
    assert reported(await asking.token(**changes)) == (400, "invalid_request", description)


@pytest.mark.parametrize(
    "changes",
    [{"client_id": "somebody"}, {"client_secret": "wrong"}, {"client_secret": "x", "scope": "y"}],
)
async def test_who_is_unknown_does_not_learn_what_was_wrong(
    asking: HmrcRequests, changes: dict[str, Any]
) -> None:
    assert reported(await asking.token(**changes)) == (
        401,
        "invalid_client",
        "invalid client id or secret",
    )


async def test_a_scope_that_was_never_given_is_refused(asking: HmrcRequests) -> None:
    answer = await asking.token(scope=f"{asking.target.scope} read:everything")
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_scope")


async def test_credentials_in_a_header_do_not_count(asking: HmrcRequests) -> None:
    pair = f"{asking.target.client_id}:{asking.target.client_secret}".encode()
    answer = await asking.token(
        {"Authorization": f"Basic {b64encode(pair).decode()}"},
        client_id=MISSING,
        client_secret=MISSING,
    )
    assert reported(answer) == (400, "invalid_request", "client_id is required")


async def test_secrets_take_turns(asking_simulator: HmrcRequests, simulator: HmrcSimulator) -> None:
    known = simulator.clients[simulator.client_id]
    simulator.clients[simulator.client_id] = structs.replace(known, secrets=("new", "old"))
    statuses = [
        (await asking_simulator.token(client_secret=secret)).status_code
        for secret in ("new", "old", simulator.client_secret)
    ]
    assert statuses == [200, 200, 401]


async def test_a_token_ends_after_four_hours(
    asking_simulator: HmrcRequests, clock: MovingClock
) -> None:
    token = {"Authorization": f"Bearer {await asking_simulator.access_token()}"}
    clock.ahead = timedelta(hours=4, seconds=-5)
    first = await asking_simulator.pdv(headers=token)
    clock.ahead = timedelta(hours=4)
    second = await asking_simulator.pdv(headers=token)
    assert (first.status_code, second.status_code) == (200, 401)

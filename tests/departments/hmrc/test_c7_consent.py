"""C7: tokens that require a person's consent."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest
from msgspec import structs

from govid.hmrc.simulator import HmrcSimulator
from govid.hmrc.simulator.applications import OUT_OF_BAND, RegisteredApplication, is_redirect_uri
from tests.departments.clock import MovingClock
from tests.departments.hmrc.api_requests import MISSING, HmrcRequests, reported
from tests.departments.hmrc.consent_browser import CALLBACK, TAX, ConsentBrowser, sent_back


@pytest.fixture
def consenting(asking_simulator: HmrcRequests, simulator: HmrcSimulator) -> ConsentBrowser:
    known = simulator.clients[simulator.client_id]
    simulator.clients[simulator.client_id] = structs.replace(
        known, redirect_uris=(CALLBACK, f"{CALLBACK}?from=hmrc", OUT_OF_BAND)
    )
    return ConsentBrowser(asking_simulator)


def refused(answer: httpx.Response) -> tuple[int, str, str]:
    body = answer.json()
    return answer.status_code, body["error"], body["error_description"]


async def test_the_page_says_who_asks_for_what_and_repeats_nothing_as_markup(
    consenting: ConsentBrowser,
) -> None:
    page = await consenting.page(state='"><script>alert(1)</script>')
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert TAX in page.text
    assert "Ida Newton" in page.text
    assert "<script>" not in page.text
    assert page.headers["content-security-policy"].startswith("default-src 'none'")


async def test_a_browser_brings_back_a_code_and_its_state(consenting: ConsentBrowser) -> None:
    brought = sent_back(await consenting.decide())
    assert set(brought) == {"code", "state"}
    assert brought["state"] == "canary & state"


async def test_without_a_state_none_comes_back(consenting: ConsentBrowser) -> None:
    assert set(sent_back(await consenting.decide(state=MISSING))) == {"code"}


async def test_an_address_with_a_query_keeps_it(consenting: ConsentBrowser) -> None:
    brought = sent_back(await consenting.decide(redirect_uri=f"{CALLBACK}?from=hmrc"))
    assert brought["from"] == "hmrc"


async def test_who_does_not_consent_sends_back_that(consenting: ConsentBrowser) -> None:
    assert sent_back(await consenting.decide("deny")) == {
        "error": "access_denied",
        "error_description": "user denied the authorization",
        "error_code": "USER_DENIED_AUTHORIZATION",
        "state": "canary & state",
    }


async def test_without_an_address_the_code_is_shown(consenting: ConsentBrowser) -> None:
    shown = await consenting.decide(redirect_uri=OUT_OF_BAND)
    code = shown.text.partition("code: <b>")[2].partition("</b>")[0]
    answer = await consenting.exchange(code, redirect_uri=OUT_OF_BAND)
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("changes", "error", "description"),
    [
        ({"client_id": "x"}, "invalid_request", "client_id is invalid"),
        ({"client_id": MISSING}, "invalid_request", "client_id is invalid"),
        ({"redirect_uri": "https://evil.example"}, "invalid_request", "redirect_uri is invalid"),
        ({"redirect_uri": f"{CALLBACK}/x"}, "invalid_request", "redirect_uri is invalid"),
        ({"response_type": "token"}, "invalid_request", "response_type must be code"),
        (
            {"code_challenge_method": "plain"},
            "invalid_request",
            "code_challenge_method must be S256",
        ),
        ({"scope": "read:x"}, "invalid_scope", "the application has no such scope"),
        ({"scope": ""}, "invalid_scope", "scope is required"),
        ({"client_secret": "x"}, "invalid_request", "client_secret must not be sent here"),
    ],
)
async def test_what_is_wrong_with_the_question_goes_to_no_other_address(
    consenting: ConsentBrowser, changes: dict[str, object], error: str, description: str
) -> None:
    page = await consenting.page(**changes)
    decided = await consenting.decide(**changes)
    assert refused(page) == refused(decided) == (400, error, description)


async def test_a_code_gets_a_token_and_one_for_the_next(consenting: ConsentBrowser) -> None:
    granted = await consenting.granted()
    assert {name: granted[name] for name in ("token_type", "expires_in", "scope")} == {
        "token_type": "bearer",
        "expires_in": 14400,
        "scope": f"{TAX} read:self-assessment",
    }
    assert granted["refresh_token"] != granted["access_token"]


async def test_a_code_works_once(consenting: ConsentBrowser) -> None:
    code = await consenting.code()
    first, second = await consenting.exchange(code), await consenting.exchange(code)
    assert first.status_code == 200
    assert refused(second) == (400, "invalid_request", "code is invalid")


@pytest.mark.parametrize(("minutes", "status"), [(9.9, 200), (10.1, 400)])
async def test_a_code_is_valid_for_ten_minutes(
    consenting: ConsentBrowser, clock: MovingClock, minutes: float, status: int
) -> None:
    code = await consenting.code()
    clock.ahead = timedelta(minutes=minutes)
    assert (await consenting.exchange(code)).status_code == status


@pytest.mark.parametrize(
    ("changes", "description"),
    [
        ({"code_verifier": "w" * 43}, "code_verifier is invalid"),
        ({"code_verifier": MISSING}, "code_verifier is invalid"),
        ({"redirect_uri": f"{CALLBACK}/x"}, "redirect_uri is invalid"),
        ({"redirect_uri": MISSING}, "redirect_uri is required"),
        ({"code": "x"}, "code is invalid"),
    ],
)
async def test_a_code_in_other_hands_is_worth_nothing(
    consenting: ConsentBrowser, changes: dict[str, Any], description: str
) -> None:
    answer = await consenting.exchange(**{"code": await consenting.code(), **changes})
    assert refused(answer) == (400, "invalid_request", description)


async def test_without_a_challenge_no_verifier_is_asked_for(consenting: ConsentBrowser) -> None:
    code = await consenting.code(code_challenge=MISSING, code_challenge_method=MISSING)
    assert (await consenting.exchange(code, code_verifier=MISSING)).status_code == 200


async def test_the_secret_is_checked_before_the_code_is_used_up(consenting: ConsentBrowser) -> None:
    code = await consenting.code()
    wrong = await consenting.exchange(code, client_secret="wrong")
    right = await consenting.exchange(code)
    assert (wrong.status_code, right.status_code) == (401, 200)


async def test_a_refresh_ends_the_old_access_token_at_once(
    consenting: ConsentBrowser, simulator: HmrcSimulator
) -> None:
    granted = await consenting.granted()
    renewed = (await consenting.refresh(granted["refresh_token"])).json()
    assert simulator.tokens.grant(granted["access_token"]) is None
    assert simulator.tokens.grant(renewed["access_token"]) is not None
    assert renewed["scope"] == granted["scope"]


async def test_of_two_who_refresh_at_once_one_is_refused(consenting: ConsentBrowser) -> None:
    token = (await consenting.granted())["refresh_token"]
    answers = await asyncio.gather(consenting.refresh(token), consenting.refresh(token))
    assert sorted(answer.status_code for answer in answers) == [200, 400]
    assert refused(await consenting.refresh(token)) == (
        *(400, "invalid_grant", "refresh_token is invalid"),
    )


async def test_a_consent_ends_after_eighteen_months_however_often_it_is_renewed(
    consenting: ConsentBrowser, clock: MovingClock
) -> None:
    token = (await consenting.granted())["refresh_token"]
    clock.ahead = timedelta(days=547)
    renewed = (await consenting.refresh(token)).json()
    clock.ahead = timedelta(days=549)
    answer = await consenting.refresh(renewed["refresh_token"])
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


async def test_a_persons_token_opens_nothing_that_is_for_applications(
    consenting: ConsentBrowser,
) -> None:
    token = f"Bearer {(await consenting.granted())['access_token']}"
    answer = await consenting.asking.pdv(headers={"Authorization": token})
    assert reported(answer) == (401, "INCORRECT_ACCESS_TOKEN_TYPE")


@pytest.mark.parametrize(
    ("uri", "is_good"),
    [
        ("https://govid.example.com/consent", True),
        ("http://localhost:8000/consent", True),
        (OUT_OF_BAND, True),
        ("http://govid.example.com/consent", False),
        ("https://192.0.2.1/consent", False),
        ("https://[2001:db8::1]/consent", False),
        ("https://govid.example.com/#x", False),
        ("https:///consent", False),
        ("govid:consent", False),
    ],
)
def test_where_a_browser_may_be_sent_back_to(uri: str, is_good: bool) -> None:
    assert is_redirect_uri(uri) is is_good


@pytest.mark.parametrize(
    "changes",
    [
        {"redirect_uris": ("http://govid.example.com",)},
        {"redirect_uris": (CALLBACK,) * 6},
        {"secrets": ("x",) * 6},
    ],
)
def test_what_hmrc_would_not_register_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="redirect URI"):
        RegisteredApplication(**{"id": "x", "secrets": ("y",), **changes})

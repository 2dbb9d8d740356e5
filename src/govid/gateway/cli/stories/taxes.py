"""Scenario of tax records, which HMRC shows only with the taxpayer's consent."""

import re
from collections.abc import Mapping
from decimal import Decimal
from http import HTTPStatus
from urllib.parse import parse_qsl, urlsplit

import httpx

from govid.bus.contracts import IdentifierType
from govid.gateway.cli.stage import ScenarioFailed, ScenarioRunner
from govid.gateway.cli.stories import steps

CONSENT = "/api/hmrc/consent"
RECORDS = "/api/hmrc/tax-records"
YEAR = "2024-25"
EMPTY_YEAR = "2019-20"
USER = "945350439195"
UTR = "1000057161"
"""The user id and UTR of Ida Newton, one of HMRC's published test users."""

_SHOWN_VALUES = re.compile(r"<p>(code|state): <b>([^<]+)</b></p>")


async def run_tax_record(runner: ScenarioRunner) -> None:
    """A citizen consents, reads the tax record of one year, and withdraws the consent."""
    person = runner.create_person(IdentifierType.NIN)
    await steps.register_verified_account(runner, person)
    started = await runner.send_request("POST", CONSENT, token=person.token)
    steps.require_status(started, HTTPStatus.CREATED, "the start of the consent")
    runner.narrate("HMRC asks for consent on its own page, and the citizen grants it")
    given = await _grant_consent(runner, started.json()["authorisationUrl"])
    granted = await runner.send_request(
        "PUT", CONSENT, token=person.token, body={**given, "utr": UTR}
    )
    steps.require_status(granted, HTTPStatus.OK, "the consent")
    runner.narrate(f"Consent is {granted.json()['status']}, until {granted.json()['endsAt']}")
    found = await runner.send_request("GET", f"{RECORDS}/{YEAR}", token=person.token)
    steps.require_status(found, HTTPStatus.OK, "the tax record")
    runner.narrate(f"{YEAR}: {_describe(found)}")
    empty = await runner.send_request("GET", f"{RECORDS}/{EMPTY_YEAR}", token=person.token)
    steps.require_status(empty, HTTPStatus.NOT_FOUND, "a year without a record")
    runner.narrate(f"{EMPTY_YEAR}: 404, {empty.json()['detail']}")
    ended = await runner.send_request("DELETE", CONSENT, token=person.token)
    steps.require_status(ended, HTTPStatus.NO_CONTENT, "the withdrawal of the consent")
    refused = await runner.send_request("GET", f"{RECORDS}/{YEAR}", token=person.token)
    steps.require_status(refused, HTTPStatus.FORBIDDEN, "the tax record without a consent")
    runner.narrate(f"After the withdrawal the record is refused: 403, {refused.json()['detail']}")


async def _grant_consent(runner: ScenarioRunner, url: str) -> Mapping[str, str]:
    """Grant the consent on the page at *url*; return the code and state of the redirect."""
    page, _, query = url.partition("?")
    form = {**dict(parse_qsl(query)), "user": USER, "decision": "grant"}
    response = await runner.submit_form(page, form)
    if response.status_code == HTTPStatus.SEE_OTHER:
        found = dict(parse_qsl(urlsplit(response.headers["location"]).query))
    else:
        # Without a redirect URI, HMRC shows the code and the state on its page.
        found = dict(_SHOWN_VALUES.findall(response.text))
    if found.keys() < {"code", "state"}:
        raise ScenarioFailed(f"the consent page returned {response.status_code} and no code")
    return {name: found[name] for name in ("code", "state")}


def _describe(response: httpx.Response) -> str:
    """Describe the employments and payments of a record, exactly as HMRC has them."""
    employments = response.json(parse_float=Decimal)["employments"] or ()
    paid = ", ".join(
        f"{one['employerName']}: pay {one['payFromEmployment']}, tax {one['taxTakenOffPay']}"
        for one in employments
    )
    return f"{len(employments)} employments. {paid}"

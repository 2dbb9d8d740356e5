"""Scenario of tax records, which HMRC shows only with the taxpayer's consent."""

import re
from collections.abc import Mapping
from decimal import Decimal
from http import HTTPStatus
from urllib.parse import parse_qsl, urlsplit

import httpx

from govid.bus.contracts import IdentifierType
from govid.gateway.cli.stage import Stage, StoryBroken
from govid.gateway.cli.stories import steps

CONSENT = "/api/hmrc/consent"
RECORDS = "/api/hmrc/tax-records"
YEAR = "2024-25"
EMPTY_YEAR = "2019-20"
USER = "945350439195"
UTR = "1000057161"
"""The user id and UTR of Ida Newton, one of HMRC's published test users."""

_SHOWN_VALUES = re.compile(r"<p>(code|state): <b>([^<]+)</b></p>")


async def tax_record(runner: Stage) -> None:
    """A citizen consents, reads the tax record of one year, and withdraws the consent."""
    person = runner.person(IdentifierType.NIN)
    await steps.open_account(runner, person)
    started = await runner.call("POST", CONSENT, token=person.token)
    steps.expect(started, HTTPStatus.CREATED, "the start of the consent")
    runner.tell("HMRC asks for consent on its own page, and the citizen grants it")
    given = await _grant_consent(runner, started.json()["authorisationUrl"])
    granted = await runner.call("PUT", CONSENT, token=person.token, body={**given, "utr": UTR})
    steps.expect(granted, HTTPStatus.OK, "the consent")
    runner.tell(f"Consent is {granted.json()['status']}, until {granted.json()['endsAt']}")
    found = await runner.call("GET", f"{RECORDS}/{YEAR}", token=person.token)
    steps.expect(found, HTTPStatus.OK, "the tax record")
    runner.tell(f"{YEAR}: {_describe(found)}")
    empty = await runner.call("GET", f"{RECORDS}/{EMPTY_YEAR}", token=person.token)
    steps.expect(empty, HTTPStatus.NOT_FOUND, "a year without a record")
    runner.tell(f"{EMPTY_YEAR}: 404, {empty.json()['detail']}")
    ended = await runner.call("DELETE", CONSENT, token=person.token)
    steps.expect(ended, HTTPStatus.NO_CONTENT, "the withdrawal of the consent")
    refused = await runner.call("GET", f"{RECORDS}/{YEAR}", token=person.token)
    steps.expect(refused, HTTPStatus.FORBIDDEN, "the tax record without a consent")
    runner.tell(f"After the withdrawal the record is refused: 403, {refused.json()['detail']}")


async def _grant_consent(runner: Stage, url: str) -> Mapping[str, str]:
    """Grant the consent on the page at *url*; return the code and state of the redirect."""
    page, _, query = url.partition("?")
    form = {**dict(parse_qsl(query)), "user": USER, "decision": "grant"}
    response = await runner.visit(page, form)
    if response.status_code == HTTPStatus.SEE_OTHER:
        found = dict(parse_qsl(urlsplit(response.headers["location"]).query))
    else:
        # Without a redirect URI, HMRC shows the code and the state on its page.
        found = dict(_SHOWN_VALUES.findall(response.text))
    if found.keys() < {"code", "state"}:
        raise StoryBroken(f"the consent page returned {response.status_code} and no code")
    return {name: found[name] for name in ("code", "state")}


def _describe(response: httpx.Response) -> str:
    """Describe the employments and payments of a record, exactly as HMRC has them."""
    employments = response.json(parse_float=Decimal)["employments"] or ()
    paid = ", ".join(
        f"{one['employerName']}: pay {one['payFromEmployment']}, tax {one['taxTakenOffPay']}"
        for one in employments
    )
    return f"{len(employments)} employments. {paid}"

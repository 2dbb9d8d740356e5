"""The story of tax records, which HMRC shows to nobody without its taxpayer's consent."""

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
YEAR_WITHOUT = "2019-20"
USER = "945350439195"
UTR = "1000057161"
"""Ida Newton of HMRC's published tests, as she signs in there and as a taxpayer."""

_SHOWN = re.compile(r"<p>(code|state): <b>([^<]+)</b></p>")


async def tax_record(stage: Stage) -> None:
    """Somebody lets govid see their tax at HMRC, looks at a year of it, and ends that again."""
    player = stage.person(IdentifierType.NIN)
    await steps.open_account(stage, player)
    begun = await stage.call("POST", CONSENT, token=player.token)
    steps.expect(begun, HTTPStatus.CREATED, "beginning to consent")
    stage.tell("HMRC asks on a page of its own whether govid may see their tax. They agree")
    given = await _consent(stage, begun.json()["authorisationUrl"])
    granted = await stage.call("PUT", CONSENT, token=player.token, body={**given, "utr": UTR})
    steps.expect(granted, HTTPStatus.OK, "the consent")
    stage.tell(f"Consent is {granted.json()['status']}, until {granted.json()['endsAt']}")
    found = await stage.call("GET", f"{RECORDS}/{YEAR}", token=player.token)
    steps.expect(found, HTTPStatus.OK, "the tax record")
    stage.tell(f"{YEAR}: {_told(found)}")
    empty = await stage.call("GET", f"{RECORDS}/{YEAR_WITHOUT}", token=player.token)
    steps.expect(empty, HTTPStatus.NOT_FOUND, "a year of which HMRC knows nothing")
    stage.tell(f"{YEAR_WITHOUT}: 404, {empty.json()['detail']}")
    ended = await stage.call("DELETE", CONSENT, token=player.token)
    steps.expect(ended, HTTPStatus.NO_CONTENT, "the end of the consent")
    refused = await stage.call("GET", f"{RECORDS}/{YEAR}", token=player.token)
    steps.expect(refused, HTTPStatus.FORBIDDEN, "the tax record without a consent")
    stage.tell(f"They end it, and the record is closed: 403, {refused.json()['detail']}")


async def _consent(stage: Stage, url: str) -> Mapping[str, str]:
    """Agree on the page at *url*; return what the browser brings back from there."""
    page, _, query = url.partition("?")
    form = {**dict(parse_qsl(query)), "user": USER, "decision": "grant"}
    answer = await stage.visit(page, form)
    if answer.status_code == HTTPStatus.SEE_OTHER:
        found = dict(parse_qsl(urlsplit(answer.headers["location"]).query))
    else:
        # Without a page of ours to come back to, HMRC shows it to be typed.
        found = dict(_SHOWN.findall(answer.text))
    if found.keys() < {"code", "state"}:
        raise StoryBroken(f"the page of consent answered {answer.status_code}, and gave no code")
    return {name: found[name] for name in ("code", "state")}


def _told(answer: httpx.Response) -> str:
    """Say how many employments there are, and what was paid; as HMRC has it, to the penny."""
    employments = answer.json(parse_float=Decimal)["employments"] or ()
    paid = ", ".join(
        f"{one['employerName']}: pay {one['payFromEmployment']}, tax {one['taxTakenOffPay']}"
        for one in employments
    )
    return f"{len(employments)} employments. {paid}"

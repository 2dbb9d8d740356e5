"""A person who consents in a browser, and what HMRC and the database store of it."""

from html import unescape
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
from msgspec import structs

from govid.bus import Database
from govid.hmrc.simulator import HmrcSimulator
from govid.hmrc.simulator.applications import OUT_OF_BAND
from tests.integration.hmrc.conftest import SETTINGS as WITHOUT_TAXES

SETTINGS = structs.replace(
    WITHOUT_TAXES,
    tax_records="simulator",
    consent_url="http://govid.example/dev/hmrc",
    redirect_uri=OUT_OF_BAND,
    encryption_key=b"a key for tests, 32 bytes or more",
    are_limits_lifted=True,
)
CONSENT = "/api/hmrc/consent"
YEAR = "/api/hmrc/tax-records/2024-25"
ACCOUNT = "/api/hmrc/tax-account?since=2024-04-06"
IDA, IDA_UTR = "945350439195", "1000057161"
OTHER, OTHER_UTR = "000000000002", "8000083480"


class Taxpayer:
    """Signed in to govid by *client*, and to HMRC as Ida, unless a test says otherwise."""

    def __init__(self, client: httpx.AsyncClient, **headers: str) -> None:
        self.client = client
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    async def begin(self) -> httpx.Response:
        return await self.client.post(CONSENT, headers=self.headers)

    async def decide(self, url: str, user: str = IDA) -> dict[str, str]:
        """Give permission on the page at *url*; return what the browser has then."""
        page = urlsplit(url)
        form = {**dict(parse_qsl(page.query)), "decision": "grant", "user": user}
        shown = await self.client.post(page.path, data=form)
        return {name: _shown(shown.text, name) for name in ("code", "state")}

    async def hand_over(self, brought: dict[str, str], utr: str = IDA_UTR) -> httpx.Response:
        return await self.client.put(CONSENT, json={**brought, "utr": utr}, headers=self.headers)

    async def consent(self, utr: str = IDA_UTR, user: str = IDA) -> httpx.Response:
        begun = await self.begin()
        return await self.hand_over(await self.decide(begun.json()["authorisationUrl"], user), utr)

    async def status(self) -> Any:
        return (await self.client.get(CONSENT, headers=self.headers)).json()

    async def withdraw(self) -> httpx.Response:
        return await self.client.delete(CONSENT, headers=self.headers)

    async def read(self, path: str = YEAR) -> httpx.Response:
        return await self.client.get(path, headers=self.headers)


async def grow_old(database: Database) -> None:
    """Let every access token be due for renewal."""
    await database.reads.execute("UPDATE hmrc.consent SET renew_at = clock_timestamp()")


async def withdrawn_at_hmrc(database: Database, simulator: HmrcSimulator) -> None:
    """Let HMRC know of no consent any more, as when it was withdrawn there."""
    simulator.tokens.revoke_all()
    simulator.consents.revoke_all()
    await grow_old(database)


def _shown(page: str, name: str) -> str:
    return unescape(page.partition(f"{name}: <b>")[2].partition("</b>")[0])

"""Requests for a person's tax records, with a token for which they have consented."""

from collections.abc import Mapping
from typing import Any

import httpx

from govid.hmrc.simulator.applications import OUT_OF_BAND
from tests.departments.hmrc.api_requests import HmrcRequests
from tests.departments.hmrc.consent_browser import ConsentBrowser

IDA_UTR = "1000057161"
OTHER_UTR = "8000083480"
SCOPES = (
    "read:individual-tax read:individual-income read:individual-employment read:self-assessment"
)
VERSIONS = {"tax": "1.1", "income": "1.2", "employment": "1.2"}
SUBJECTS = tuple(VERSIONS)


class TaxRequests:
    """Consents as Ida, on a page without a redirect, and reads."""

    def __init__(self, asking: HmrcRequests) -> None:
        self.asking = asking
        self.http = asking.http
        self.consenting = ConsentBrowser(asking)

    async def granted(self, scope: str = SCOPES) -> Mapping[str, Any]:
        shown = await self.consenting.decide(redirect_uri=OUT_OF_BAND, scope=scope)
        code = shown.text.partition("code: <b>")[2].partition("</b>")[0]
        answer = await self.consenting.exchange(code, redirect_uri=OUT_OF_BAND)
        granted: Mapping[str, Any] = answer.json()
        return granted

    async def year(
        self,
        subject: str = "tax",
        utr: str = IDA_UTR,
        year: str = "2024-25",
        *,
        scope: str = SCOPES,
        **headers: str,
    ) -> httpx.Response:
        """Read a year; *headers* take the place of what is right, with `_` for `-`."""
        path = f"/individual-{subject}/sa/{utr}/annual-summary/{year}"
        return await self._read(path, VERSIONS[subject], scope, headers)

    async def account(
        self, utr: str = IDA_UTR, query: str = "?fromDate=2024-04-06", **headers: str
    ) -> httpx.Response:
        path = f"/individuals/self-assessment/breakdown/{utr}{query}"
        return await self._read(path, "1.0", SCOPES, headers)

    async def _read(
        self, path: str, version: str, scope: str, headers: Mapping[str, str]
    ) -> httpx.Response:
        wanted = {"Accept": f"application/vnd.hmrc.{version}+json"}
        wanted |= {name.replace("_", "-"): value for name, value in headers.items()}
        if "Authorization" not in wanted:
            token = (await self.granted(scope))["access_token"]
            wanted["Authorization"] = f"Bearer {token}"
        return await self.http.get(f"{self.asking.target.url}{path}", headers=wanted)

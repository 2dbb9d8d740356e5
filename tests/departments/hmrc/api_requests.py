"""Requests to HMRC, valid but for what a test changes."""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import httpx

from tests.departments.hmrc.target import Target

MISSING = object()
PDV_PATH = "/individuals/authentication/authenticator/api/match"
MATCHING_PATH = "/individuals/matching/"

JIM: Mapping[str, object] = {
    "firstName": "Jim",
    "lastName": "Ferguson",
    "dateOfBirth": "1948-04-23",
    "nino": "AA000003D",
}
AMANDA: Mapping[str, object] = {
    "firstName": "Amanda",
    "lastName": "Joseph",
    "dateOfBirth": "1960-01-15",
    "nino": "NA000799C",
}


class HmrcRequests:
    """Asks for tokens, and then about people."""

    def __init__(self, target: Target, http: httpx.AsyncClient) -> None:
        self.target = target
        self.http = http

    async def token(
        self, headers: Mapping[str, str] | None = None, **changes: Any
    ) -> httpx.Response:
        """Ask for a token; *changes* are the form's."""
        form = {
            "client_id": self.target.client_id,
            "client_secret": self.target.client_secret,
            "grant_type": "client_credentials",
            **changes,
        }
        return await self.http.post(
            f"{self.target.url}/oauth/token", data=_without(form), headers=headers
        )

    async def access_token(self, **changes: Any) -> str:
        answer = await self.token(**changes)
        return str(answer.json()["access_token"])

    async def pdv(
        self,
        changes: Mapping[str, object] | None = None,
        headers: Mapping[str, object] | None = None,
        path: str = PDV_PATH,
    ) -> httpx.Response:
        """Ask whether Jim is Jim, but for *changes*."""
        wanted: dict[str, object] = dict(headers or {})
        if "Authorization" not in wanted:
            wanted["Authorization"] = f"Bearer {await self.access_token()}"
        return await self._post(path, JIM, changes, wanted)

    async def match(
        self,
        changes: Mapping[str, object] | None = None,
        headers: Mapping[str, object] | None = None,
        version: str = "2.0",
    ) -> httpx.Response:
        """Ask whether there is an Amanda, but for *changes*."""
        return await self._post(
            MATCHING_PATH, AMANDA, changes, await self._headers(headers, version)
        )

    async def matched(self, match_id: str, version: str = "2.0") -> httpx.Response:
        """Ask who was matched."""
        return await self.http.get(
            f"{self.target.url}{MATCHING_PATH}{match_id}",
            headers=_without(await self._headers(None, version)),
        )

    async def _headers(
        self, headers: Mapping[str, object] | None, version: str
    ) -> dict[str, object]:
        wanted: dict[str, object] = {
            "Accept": f"application/vnd.hmrc.{version}+json",
            "CorrelationId": str(uuid4()),
            **(headers or {}),
        }
        if "Authorization" not in wanted:
            wanted["Authorization"] = f"Bearer {await self.access_token(scope=self.target.scope)}"
        return wanted

    async def _post(
        self,
        path: str,
        person: Mapping[str, object],
        changes: Mapping[str, object] | None,
        headers: Mapping[str, object],
    ) -> httpx.Response:
        return await self.http.post(
            f"{self.target.url}{path}",
            json=_without({**person, **(changes or {})}),
            headers=_without(headers),
        )


def reported(answer: httpx.Response) -> tuple[int, str]:
    """Return the status and the code of an error."""
    return answer.status_code, str(answer.json()["code"])


def _without(members: Mapping[str, object]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not MISSING}

"""Token requests, valid but for what a test changes."""

import time
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import httpx
import jwt

from tests.departments.nhs.target import Target

FORM = "application/x-www-form-urlencoded"
MISSING = object()


class NhsRequests:
    """Asks for tokens, and then asks PDS with one."""

    def __init__(self, target: Target, http: httpx.AsyncClient) -> None:
        self.target = target
        self.http = http

    @staticmethod
    def now() -> int:
        return int(time.time())

    def signed(
        self,
        claims: Mapping[str, object] | None = None,
        headers: Mapping[str, object] | None = None,
        *,
        key: Any = None,
        algorithm: str = "RS512",
    ) -> str:
        """Return an assertion; what is MISSING in *claims* or *headers* is left out."""
        body = {
            "iss": self.target.client_id,
            "sub": self.target.client_id,
            "aud": self.target.token_url,
            "jti": str(uuid4()),
            "exp": self.now() + 300,
            **(claims or {}),
        }
        head = {"typ": "JWT", "kid": self.target.kid, **(headers or {})}
        return jwt.PyJWS().encode(
            jwt.utils.force_bytes(_json(_without(body))),
            self.target.key if key is None else key,
            algorithm=algorithm,
            headers=_without(head) | ({"typ": None} if head["typ"] is MISSING else {}),
        )

    async def token(
        self, assertion: str | None = None, *, content_type: str = FORM, **changes: object
    ) -> httpx.Response:
        """Ask for a token with *assertion*, or a good one; *changes* are the form's."""
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": self.signed() if assertion is None else assertion,
            **changes,
        }
        body = str(httpx.QueryParams(_without(form)))
        return await self.http.post(
            self.target.token_url, content=body, headers={"Content-Type": content_type}
        )

    async def access_token(self) -> str:
        answer = await self.token()
        return str(answer.json()["access_token"])

    async def pds(
        self, path: str, query: object = None, headers: Mapping[str, object] | None = None
    ) -> httpx.Response:
        """Ask PDS for *path*, with all headers that it wants but for the changes in *headers*."""
        wanted: dict[str, object] = {"X-Request-ID": str(uuid4()), **(headers or {})}
        if "Authorization" not in wanted:
            wanted["Authorization"] = f"Bearer {await self.access_token()}"
        return await self.http.get(
            f"{self.target.pds_url}{path}",
            params=query,  # type: ignore[arg-type]  # as the tests write it
            headers=_without(wanted),
        )


def _without(members: Mapping[str, object]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not MISSING}


def _json(content: object) -> bytes:
    return httpx.Request("POST", "http://x", json=content).content

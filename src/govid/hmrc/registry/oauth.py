"""OAuth clients of HMRC: client credentials, and the consent of a person.

Source: HMRC Developer Hub, "Application-restricted endpoints".
"""

import time
from collections.abc import Callable
from urllib.parse import urlencode

import msgspec

from govid.bus.upstream import (
    BearerToken,
    CredentialsRejected,
    TokenCache,
    UpstreamClient,
    UpstreamRequest,
    UpstreamResponse,
)

TOKEN_PATH = "/oauth/token"  # noqa: S105 - a path


class ClientCredentials(msgspec.Struct, frozen=True, kw_only=True):
    """The client id and secret of govid at HMRC, and the scopes to request, if any."""

    client_id: str
    client_secret: Callable[[], str]
    scope: str = ""

    def __repr__(self) -> str:
        """Name the struct only (I11)."""
        return f"<{type(self).__name__}>"


class _ClientToken(msgspec.Struct, frozen=True, kw_only=True):
    access_token: str
    expires_in: float
    """Seconds, as a number."""

    def __repr__(self) -> str:
        """Name the struct only (I9)."""
        return f"<{type(self).__name__}>"


class TokenClient:
    """Requests access tokens by client credentials, which HMRC accepts in the form only."""

    def __init__(self, api: UpstreamClient, credentials: ClientCredentials) -> None:
        """Call *api* with *credentials*."""
        self._api = api
        self._credentials = credentials

    def build_cache(self, clock: Callable[[], float] = time.monotonic) -> TokenCache:
        """Return a token cache filled by this client; *clock* is monotonic, in seconds."""
        return TokenCache(self._fetch, clock)

    async def _fetch(self) -> BearerToken:
        answer = await self._api.request(self._call)
        if not answer.is_success:
            # Every refusal here is about govid itself, because no citizen is involved.
            self._api.breaker.trip()
            raise CredentialsRejected(answer.department, "credentials refused")
        return _token(answer)

    def _call(self) -> UpstreamRequest:
        form = {
            "client_id": self._credentials.client_id,
            "client_secret": self._credentials.client_secret(),
            "grant_type": "client_credentials",
        }
        if self._credentials.scope:
            form["scope"] = self._credentials.scope
        return UpstreamRequest(
            operation="token.get",
            method="POST",
            route=TOKEN_PATH,
            path=TOKEN_PATH,
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            body=urlencode(form).encode(),
            repeatable=True,
        )


def _token(answer: UpstreamResponse) -> BearerToken:
    granted = answer.decode(_ClientToken)
    return BearerToken(value=granted.access_token, life_seconds=granted.expires_in)

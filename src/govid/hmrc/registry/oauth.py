"""How govid gets access tokens from HMRC: by its id and its secret, in the form and nowhere else.

Source: HMRC Developer Hub, "Application-restricted endpoints".
"""

import time
from collections.abc import Callable
from urllib.parse import urlencode

import msgspec

from govid.bus.upstream import Answer, Api, AuthFailed, Call, Token, TokenCache

_PATH = "/oauth/token"


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """Who govid is at HMRC, and which scopes it asks for, if any."""

    client_id: str
    client_secret: Callable[[], str]
    scope: str = ""

    def __repr__(self) -> str:
        """Show nothing (I11)."""
        return "<Credentials>"


class _Granted(msgspec.Struct, frozen=True, kw_only=True):
    access_token: str
    expires_in: float
    """Seconds, as a number."""

    def __repr__(self) -> str:
        """Name the struct only (I9)."""
        return "<_Granted>"


class TokenDesk:
    """Asks for tokens."""

    def __init__(self, api: Api, credentials: Credentials) -> None:
        """Ask *api* as *credentials*."""
        self._api = api
        self._credentials = credentials

    def cache(self, clock: Callable[[], float] = time.monotonic) -> TokenCache:
        """Return a cache that is filled here; *clock* counts seconds and never goes back."""
        return TokenCache(self._fetch, clock)

    async def _fetch(self) -> Token:
        answer = await self._api.send(self._call)
        if not answer.is_success:
            # All that it refuses, it refuses us: no citizen has a part in this.
            self._api.breaker.trip()
            raise AuthFailed(answer.api, "credentials refused")
        return _token(answer)

    def _call(self) -> Call:
        form = {
            "client_id": self._credentials.client_id,
            "client_secret": self._credentials.client_secret(),
            "grant_type": "client_credentials",
        }
        if self._credentials.scope:
            form["scope"] = self._credentials.scope
        return Call(
            operation="token.get",
            method="POST",
            route=_PATH,
            path=_PATH,
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            body=urlencode(form).encode(),
            repeatable=True,
        )


def _token(answer: Answer) -> Token:
    granted = answer.decode(_Granted)
    return Token(value=granted.access_token, life_seconds=granted.expires_in)

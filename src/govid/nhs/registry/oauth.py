"""How govid gets access tokens from the NHS: it signs for itself.

Source: NHSDigital/identity-service-api, "application-restricted, signed JWT".
"""

import time
from collections.abc import Callable
from datetime import timedelta
from urllib.parse import urlencode
from uuid import uuid4

import jwt
import msgspec

from govid.bus import Clock
from govid.bus.upstream import Answer, Api, AuthFailed, Call, Token, TokenCache

ALGORITHM = "RS512"
ASSERTION_LIFE = timedelta(minutes=4)
"""The NHS takes five minutes; a clock that is ahead of its own must not be too far ahead."""

_PATH = "/oauth2/token"


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """Who govid is at the NHS. `key` gives the private key (PEM) to the public one named `kid`."""

    client_id: str
    kid: str
    key: Callable[[], bytes]

    def __repr__(self) -> str:
        """Show nothing (I11)."""
        return "<Credentials>"


class _Granted(msgspec.Struct, frozen=True, kw_only=True):
    access_token: str
    expires_in: str | float
    """A string, and one day perhaps a number."""

    def __repr__(self) -> str:
        """Name the struct only (I9)."""
        return "<_Granted>"


class TokenDesk:
    """Asks for tokens, each time with an assertion that was never used before."""

    def __init__(self, api: Api, credentials: Credentials, clock: Clock) -> None:
        """Ask *api* as *credentials*."""
        self._api = api
        self._credentials = credentials
        self._clock = clock

    def cache(self, seconds: Callable[[], float] = time.monotonic) -> TokenCache:
        """Return a cache that is filled here, and counts *seconds*."""
        return TokenCache(self._fetch, seconds)

    async def _fetch(self) -> Token:
        answer = await self._api.send(self._call)
        if not answer.is_success:
            # All that it refuses, it refuses us: no citizen has a part in this.
            self._api.breaker.trip()
            raise AuthFailed(answer.api, "assertion refused")
        return _token(answer)

    def _call(self) -> Call:
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": self._assertion(),
        }
        return Call(
            operation="token.get",
            method="POST",
            route=_PATH,
            path=_PATH,
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            body=urlencode(form).encode(),
            repeatable=True,
        )

    def _assertion(self) -> str:
        expires = self._clock.now() + ASSERTION_LIFE
        claims = {
            "iss": self._credentials.client_id,
            "sub": self._credentials.client_id,
            "aud": f"{self._api.base_url}{_PATH}",
            "jti": str(uuid4()),
            "exp": int(expires.timestamp()),
        }
        headers = {"kid": self._credentials.kid}
        return jwt.encode(claims, self._credentials.key(), algorithm=ALGORITHM, headers=headers)


def _token(answer: Answer) -> Token:
    granted = answer.decode(_Granted)
    try:
        life = float(granted.expires_in)
    except ValueError:
        life = 0.0
    return Token(value=granted.access_token, life_seconds=life)

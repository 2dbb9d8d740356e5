"""Gets access tokens from the NHS by a signed JWT assertion (OAuth client credentials).

Source: NHSDigital/identity-service-api, "application-restricted, signed JWT".
"""

import time
from collections.abc import Callable
from datetime import timedelta
from urllib.parse import urlencode
from uuid import uuid4

import jwt

from govid.bus import Clock
from govid.bus.shared.privacy import RedactedStruct
from govid.bus.upstream import (
    BearerToken,
    CredentialsRejected,
    TokenCache,
    UpstreamClient,
    UpstreamRequest,
    UpstreamResponse,
)

ALGORITHM = "RS512"
ASSERTION_LIFETIME = timedelta(minutes=4)
"""Below the five minutes that the NHS accepts, to allow for a clock that is ahead."""

_PATH = "/oauth2/token"


class SigningCredentials(RedactedStruct, frozen=True, kw_only=True):
    """Client id and signing key: `key` returns the private key (PEM), `kid` is its key id."""

    client_id: str
    kid: str
    key: Callable[[], bytes]


class _TokenResponse(RedactedStruct, frozen=True, kw_only=True):
    access_token: str
    expires_in: str | float
    """The NHS sends a string; OAuth defines a number."""


class SignedJwtTokenClient:
    """Requests access tokens, each with a new assertion."""

    def __init__(self, api: UpstreamClient, credentials: SigningCredentials, clock: Clock) -> None:
        """Request tokens by *api* with *credentials*."""
        self._api = api
        self._credentials = credentials
        self._clock = clock

    def build_cache(self, clock: Callable[[], float] = time.monotonic) -> TokenCache:
        """Return a token cache that fetches from here; *seconds* is its monotonic clock."""
        return TokenCache(self._fetch, clock)

    async def _fetch(self) -> BearerToken:
        response = await self._api.request(self._build_request)
        if not response.is_success:
            # A refusal always concerns govid's own credentials, never a citizen.
            self._api.breaker.trip()
            raise CredentialsRejected(response.department, "assertion refused")
        return _parse_token(response)

    def _build_request(self) -> UpstreamRequest:
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": self._build_assertion(),
        }
        return UpstreamRequest(
            operation="token.get",
            method="POST",
            route=_PATH,
            path=_PATH,
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            body=urlencode(form).encode(),
            repeatable=True,
        )

    def _build_assertion(self) -> str:
        expires = self._clock.now() + ASSERTION_LIFETIME
        claims = {
            "iss": self._credentials.client_id,
            "sub": self._credentials.client_id,
            "aud": f"{self._api.base_url}{_PATH}",
            "jti": str(uuid4()),
            "exp": int(expires.timestamp()),
        }
        headers = {"kid": self._credentials.kid}
        return jwt.encode(claims, self._credentials.key(), algorithm=ALGORITHM, headers=headers)


def _parse_token(answer: UpstreamResponse) -> BearerToken:
    token_response = answer.decode(_TokenResponse)
    try:
        life_seconds = float(token_response.expires_in)
    except ValueError:
        life_seconds = 0.0
    return BearerToken(value=token_response.access_token, life_seconds=life_seconds)

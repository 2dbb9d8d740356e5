"""Gets access tokens from the NHS by a signed JWT assertion (OAuth client credentials).

Source: NHSDigital/identity-service-api, "application-restricted, signed JWT".
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from uuid import uuid4

import jwt

from govid.bus import Clock
from govid.bus.shared.privacy import RedactedStruct
from govid.bus.upstream import (
    BearerToken,
    TokenClient,
    UpstreamClient,
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


def build_token_client(
    api: UpstreamClient, credentials: SigningCredentials, clock: Clock
) -> TokenClient:
    """Return a client that sends a new assertion of *credentials* with each token request."""
    audience = f"{api.base_url}{_PATH}"
    return TokenClient(api, _PATH, lambda: _build_form(credentials, audience, clock), _parse_token)


def _build_form(credentials: SigningCredentials, audience: str, clock: Clock) -> Mapping[str, str]:
    return {
        "grant_type": "client_credentials",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": _build_assertion(credentials, audience, clock),
    }


def _build_assertion(credentials: SigningCredentials, audience: str, clock: Clock) -> str:
    expires = clock.now() + ASSERTION_LIFETIME
    claims = {
        "iss": credentials.client_id,
        "sub": credentials.client_id,
        "aud": audience,
        "jti": str(uuid4()),
        "exp": int(expires.timestamp()),
    }
    headers = {"kid": credentials.kid}
    return jwt.encode(claims, credentials.key(), algorithm=ALGORITHM, headers=headers)


def _parse_token(response: UpstreamResponse) -> BearerToken:
    token_response = response.decode(_TokenResponse)
    try:
        life_seconds = float(token_response.expires_in)
    except ValueError:
        life_seconds = 0.0
    return BearerToken(value=token_response.access_token, life_seconds=life_seconds)

"""Token endpoint of the simulated NHS (OAuth client credentials with a signed JWT)."""

import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl
from uuid import uuid4

import msgspec
from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler

from govid.bus import Clock
from govid.nhs.simulator.assertions import AssertionValidator, TokenRequestRefused
from govid.nhs.simulator.clients import OAuthClient

TOKEN_PATH = "/oauth2/token"  # noqa: S105 - a path
TOKEN_LIFETIME_SECONDS = 600


class AccessTokenStore:
    """Access tokens that were issued, with their expiry."""

    def __init__(self, clock: Clock) -> None:
        """Expire tokens by *clock*."""
        self._clock = clock
        self._expires_at: dict[str, datetime] = {}
        self.issued = 0

    def issue(self, life_seconds: float) -> str:
        """Issue a token."""
        token = secrets.token_urlsafe(21)
        self._expires_at[token] = self._clock.now() + timedelta(seconds=life_seconds)
        self.issued += 1
        return token

    def is_valid(self, token: str) -> bool:
        """Tell whether *token* was issued here and has not expired."""
        expires_at = self._expires_at.get(token)
        return expires_at is not None and self._clock.now() < expires_at

    def revoke_all(self) -> None:
        """Expire all tokens."""
        self._expires_at.clear()


def build_token_route(
    clients: Mapping[str, OAuthClient], tokens: AccessTokenStore, clock: Clock
) -> HTTPRouteHandler:
    """Return the route at which *clients* get *tokens*."""
    assertions = AssertionValidator(clients, clock)

    @post(TOKEN_PATH)
    async def token(request: Request[Any, Any, Any]) -> Response[bytes]:
        body = await request.body()
        form = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
        url = str(request.url).partition("?")[0]
        try:
            assertions.validate(request.headers.get("content-type", ""), form, url)
        except TokenRequestRefused as refusal:
            return _json(
                int(refusal.status),
                {
                    "error": refusal.error,
                    "error_description": refusal.description,
                    "message_id": f"rrt-{uuid4()}",
                },
            )
        lifetime = _lifetime(form.get("_access_token_expiry_ms"))
        return _json(
            200,
            {
                "access_token": tokens.issue(lifetime),
                # The NHS sends strings, and one second less than the lifetime.
                "expires_in": str(int(lifetime) - 1),
                "token_type": "Bearer",
                "issued_at": str(int(clock.now().timestamp() * 1000)),
            },
        )

    return token


def _lifetime(milliseconds: str | None) -> float:
    requested = (
        int(milliseconds) / 1000
        if milliseconds and milliseconds.isdecimal()
        else TOKEN_LIFETIME_SECONDS
    )
    return min(requested, TOKEN_LIFETIME_SECONDS)


def _json(status: int, content: Mapping[str, str]) -> Response[bytes]:
    return Response(msgspec.json.encode(content), status_code=status, media_type="application/json")

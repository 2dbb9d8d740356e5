"""The NHS's token endpoint, for applications that sign for themselves."""

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
from govid.nhs.simulator.assertions import Assertions, Refusal
from govid.nhs.simulator.clients import Client

PATH = "/oauth2/token"
LIFE_SECONDS = 600


class Tokens:
    """The access tokens that were given out."""

    def __init__(self, clock: Clock) -> None:
        """Tell by *clock* which ones have ended."""
        self._clock = clock
        self._ends: dict[str, datetime] = {}
        self.issued = 0

    def issue(self, life_seconds: float) -> str:
        """Give a token out."""
        token = secrets.token_urlsafe(21)
        self._ends[token] = self._clock.now() + timedelta(seconds=life_seconds)
        self.issued += 1
        return token

    def is_good(self, token: str) -> bool:
        """Tell whether *token* was given out here and has not ended."""
        ends = self._ends.get(token)
        return ends is not None and self._clock.now() < ends

    def end_all(self) -> None:
        """Let no token be good any longer."""
        self._ends.clear()


def route(clients: Mapping[str, Client], tokens: Tokens, clock: Clock) -> HTTPRouteHandler:
    """Return the endpoint, by which *clients* get *tokens*."""
    assertions = Assertions(clients, clock)

    @post(PATH)
    async def token(request: Request[Any, Any, Any]) -> Response[bytes]:
        body = await request.body()
        form = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
        url = str(request.url).partition("?")[0]
        try:
            assertions.check(request.headers.get("content-type", ""), form, url)
        except Refusal as refusal:
            return _json(
                int(refusal.status),
                {
                    "error": refusal.error,
                    "error_description": refusal.description,
                    "message_id": f"rrt-{uuid4()}",
                },
            )
        life = _life(form.get("_access_token_expiry_ms"))
        return _json(
            200,
            {
                "access_token": tokens.issue(life),
                # Strings, and a second less than granted: as it is.
                "expires_in": str(int(life) - 1),
                "token_type": "Bearer",
                "issued_at": str(int(clock.now().timestamp() * 1000)),
            },
        )

    return token


def _life(milliseconds: str | None) -> float:
    asked = int(milliseconds) / 1000 if milliseconds and milliseconds.isdecimal() else LIFE_SECONDS
    return min(asked, LIFE_SECONDS)


def _json(status: int, content: Mapping[str, str]) -> Response[bytes]:
    return Response(msgspec.json.encode(content), status_code=status, media_type="application/json")

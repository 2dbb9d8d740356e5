"""HMRC's token endpoint, for applications that act for themselves."""

import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from hmac import compare_digest
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler

from govid.bus import Clock
from govid.hmrc.simulator.clients import Client
from govid.hmrc.simulator.errors import json_response

PATH = "/oauth/token"
LIFE_SECONDS = 4 * 60 * 60
REQUIRED = ("client_id", "client_secret", "grant_type")


class Refusal(Exception):
    """The token endpoint says no."""

    def __init__(
        self,
        error: str,
        description: str,
        status: HTTPStatus = HTTPStatus.BAD_REQUEST,
    ) -> None:
        """Answer with the OAuth *error* and its *description*."""
        self.status = status
        self.content = {"error": error, "error_description": description}
        super().__init__(error)


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """What a token allows, and to whom."""

    client: Client
    scopes: frozenset[str]
    ends: datetime


class Tokens:
    """The access tokens that were given out."""

    def __init__(self, clock: Clock) -> None:
        """Tell by *clock* which ones have ended."""
        self._clock = clock
        self._grants: dict[str, Grant] = {}
        self.issued = 0

    def issue(self, client: Client, scopes: frozenset[str]) -> str:
        """Give a token out."""
        token = secrets.token_urlsafe(24)
        ends = self._clock.now() + timedelta(seconds=LIFE_SECONDS)
        self._grants[token] = Grant(client=client, scopes=scopes, ends=ends)
        self.issued += 1
        return token

    def grant(self, token: str) -> Grant | None:
        """Return what *token* allows; nothing, if it has ended or never was."""
        grant = self._grants.get(token)
        return grant if grant is not None and self._clock.now() < grant.ends else None

    def end_all(self) -> None:
        """Let no token be good any longer."""
        self._grants.clear()


def route(clients: Mapping[str, Client], tokens: Tokens) -> HTTPRouteHandler:
    """Return the endpoint, by which *clients* get *tokens*."""

    @post(PATH, status_code=HTTPStatus.OK)
    async def token(request: Request[Any, Any, Any]) -> Response[bytes]:
        body = await request.body()
        form = dict(parse_qsl(body.decode("utf-8", "replace")))
        try:
            client = _client(form, clients)
            scopes = _scopes(form, client)
        except Refusal as refusal:
            return json_response(refusal.content, refusal.status)
        granted: dict[str, object] = {
            "access_token": tokens.issue(client, scopes),
            "token_type": "bearer",
            "expires_in": LIFE_SECONDS,
        }
        if scopes:
            granted["scope"] = " ".join(sorted(scopes))
        return json_response(granted)

    return token


def _client(form: Mapping[str, str], clients: Mapping[str, Client]) -> Client:
    """Return who asks. Only the form counts: what stands in a header is passed over."""
    for name in REQUIRED:
        if not form.get(name):
            raise Refusal("invalid_request", f"{name} is required")
    if form["grant_type"] != "client_credentials":
        raise Refusal("invalid_request", "unsupported grant_type")
    client = clients.get(form["client_id"])
    offered = form["client_secret"].encode()
    if client is None or not any(compare_digest(offered, one.encode()) for one in client.secrets):
        raise Refusal("invalid_client", "invalid client id or secret", HTTPStatus.UNAUTHORIZED)
    return client


def _scopes(form: Mapping[str, str], client: Client) -> frozenset[str]:
    scopes = frozenset(form.get("scope", "").split())
    if not scopes <= client.scopes:
        raise Refusal("invalid_scope", "the application has no such scope")
    return scopes

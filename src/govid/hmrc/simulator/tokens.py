"""The access tokens of the simulated HMRC: of an application, or of an application for a person."""

import secrets
from datetime import datetime, timedelta

import msgspec

from govid.bus import Clock
from govid.hmrc.simulator.clients import Client

LIFE_SECONDS = 4 * 60 * 60


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """What a token allows, and to whom; *user* is who gave consent, if anybody had to."""

    client: Client
    scopes: frozenset[str]
    ends: datetime
    user: str | None = None

    def __repr__(self) -> str:
        """Name the struct only (I9)."""
        return "<Grant>"


class Tokens:
    """The access tokens that were given out."""

    def __init__(self, clock: Clock) -> None:
        """Tell by *clock* which ones have ended."""
        self._clock = clock
        self._grants: dict[str, Grant] = {}
        self.issued = 0

    def issue(self, client: Client, scopes: frozenset[str], user: str | None = None) -> str:
        """Give a token out."""
        token = secrets.token_urlsafe(24)
        ends = self._clock.now() + timedelta(seconds=LIFE_SECONDS)
        self._grants[token] = Grant(client=client, scopes=scopes, ends=ends, user=user)
        self.issued += 1
        return token

    def grant(self, token: str) -> Grant | None:
        """Return what *token* allows; nothing, if it has ended or never was."""
        grant = self._grants.get(token)
        return grant if grant is not None and self._clock.now() < grant.ends else None

    def end(self, token: str) -> None:
        """Let *token* be good no longer."""
        self._grants.pop(token, None)

    def end_all(self) -> None:
        """Let no token be good any longer."""
        self._grants.clear()

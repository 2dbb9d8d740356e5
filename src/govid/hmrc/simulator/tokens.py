"""Stores the access tokens of the simulated HMRC, for an application or for a person."""

import secrets
from datetime import datetime, timedelta

import msgspec

from govid.bus import Clock
from govid.hmrc.simulator.clients import RegisteredApplication

TOKEN_LIFETIME_SECONDS = 4 * 60 * 60


class TokenGrant(msgspec.Struct, frozen=True, kw_only=True):
    """What an access token allows; *user* gave consent, if the scopes require it."""

    client: RegisteredApplication
    scopes: frozenset[str]
    ends: datetime
    user: str | None = None

    def __repr__(self) -> str:
        """Name the struct only (I9)."""
        return f"<{type(self).__name__}>"


class AccessTokenStore:
    """The issued access tokens."""

    def __init__(self, clock: Clock) -> None:
        """Use *clock* for expiry."""
        self._clock = clock
        self._grants: dict[str, TokenGrant] = {}
        self.issued = 0

    def issue(
        self, client: RegisteredApplication, scopes: frozenset[str], user: str | None = None
    ) -> str:
        """Issue an access token."""
        token = secrets.token_urlsafe(24)
        ends = self._clock.now() + timedelta(seconds=TOKEN_LIFETIME_SECONDS)
        self._grants[token] = TokenGrant(client=client, scopes=scopes, ends=ends, user=user)
        self.issued += 1
        return token

    def grant(self, token: str) -> TokenGrant | None:
        """Return what *token* allows; None if it has expired or is unknown."""
        grant = self._grants.get(token)
        return grant if grant is not None and self._clock.now() < grant.ends else None

    def revoke(self, token: str) -> None:
        """Invalidate *token*."""
        self._grants.pop(token, None)

    def revoke_all(self) -> None:
        """Invalidate all tokens."""
        self._grants.clear()

"""Keeps an access token until it is nearly spent, and fetches the next one once for everybody."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import msgspec

from govid.bus.upstream.errors import UpstreamFailure

EARLY = 0.8
"""The part of a token's life after which it is replaced."""


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """An access token, and how many seconds it lives."""

    value: str
    life_seconds: float

    def __repr__(self) -> str:
        """Show nothing (I9)."""
        return "<Token>"


class TokenCache:
    """Holds the token of one client and scope.

    However many ask at once, one call is made; if it fails, it has failed for all who waited.
    """

    def __init__(
        self,
        fetch: Callable[[], Awaitable[Token]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Get tokens by *fetch*; *clock* counts seconds and never goes back."""
        self._fetch = fetch
        self._clock = clock
        self._fetching = asyncio.Lock()
        self._token: Token | None = None
        self._fetched_at = 0.0
        self._rounds = 0
        self._failure: UpstreamFailure | None = None

    async def get(self) -> str:
        """Return a token that is good for some time yet.

        Raises:
            UpstreamFailure: there is none, and none is to be had.
        """
        token = self._token
        if token is not None and self._age() < token.life_seconds * EARLY:
            return token.value
        return await self._renewed(self._rounds)

    def forget(self, value: str) -> None:
        """Drop the token *value*, which was refused; one that has come since then stays."""
        if self._token is not None and self._token.value == value:
            self._token = None

    async def _renewed(self, waits_for: int) -> str:
        async with self._fetching:
            if self._rounds != waits_for:
                # Somebody fetched while we waited for our turn.
                if self._failure is not None:
                    raise self._failure.again()
                if self._token is not None:
                    return self._token.value
            return await self._round()

    async def _round(self) -> str:
        asked_at = self._clock()
        try:
            token = await self._fetch()
        except UpstreamFailure as failure:
            self._rounds += 1
            if self._token is not None and self._age() < self._token.life_seconds:
                # The old one is good for a while: no need to fail as long as it is.
                return self._token.value
            self._failure = failure
            raise
        self._rounds += 1
        # Its life began when the other side made it, which was after we asked.
        self._token, self._fetched_at, self._failure = token, asked_at, None
        return token.value

    def _age(self) -> float:
        return self._clock() - self._fetched_at

"""Caches OAuth access tokens, and renews each before it expires with a single request."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from govid.bus.shared.privacy import RedactedStruct
from govid.bus.upstream.models import UpstreamFailure

RENEWAL_SHARE = 0.8
"""The part of a token's lifetime after which it is renewed."""


class BearerToken(RedactedStruct, frozen=True, kw_only=True):
    """An access token, and its lifetime in seconds."""

    value: str
    life_seconds: float


class TokenCache:
    """Caches the access token of one client and scope.

    Concurrent callers share one token request; if it fails, it fails for all of them.
    """

    def __init__(
        self,
        fetch: Callable[[], Awaitable[BearerToken]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Get tokens by *fetch*; *clock* is monotonic, in seconds."""
        self._fetch = fetch
        self._clock = clock
        self._fetching = asyncio.Lock()
        self._token: BearerToken | None = None
        self._fetched_at = 0.0
        self._fetches = 0
        self._failure: UpstreamFailure | None = None

    async def get(self) -> str:
        """Return a token that is not about to expire.

        Raises:
            UpstreamFailure: no token is cached, and none can be fetched.
        """
        token = self._token
        if token is not None and self._age() < token.life_seconds * RENEWAL_SHARE:
            return token.value
        return await self._renew(self._fetches)

    def evict(self, value: str) -> None:
        """Evict the refused token *value*; a token that was fetched since then stays."""
        if self._token is not None and self._token.value == value:
            self._token = None

    async def _renew(self, fetches_before: int) -> str:
        async with self._fetching:
            if self._fetches != fetches_before:
                # Another caller fetched while this one waited for the lock.
                if self._failure is not None:
                    raise self._failure.copy()
                if self._token is not None:
                    return self._token.value
            return await self._fetch_token()

    async def _fetch_token(self) -> str:
        asked_at = self._clock()
        try:
            token = await self._fetch()
        except UpstreamFailure as failure:
            self._fetches += 1
            if self._token is not None and self._age() < self._token.life_seconds:
                # The old token is still valid, so this failure does not matter yet.
                return self._token.value
            self._failure = failure
            raise
        self._fetches += 1
        # Counted from the request: the token was issued after it.
        self._token, self._fetched_at, self._failure = token, asked_at, None
        return token.value

    def _age(self) -> float:
        return self._clock() - self._fetched_at

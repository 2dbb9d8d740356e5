"""OAuth access tokens: requests, caches and renews them, and adds them to requests.

A department supplies the form of its token request and the parser of the response.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import urlencode

from msgspec import structs

from govid.bus.shared.privacy import RedactedStruct
from govid.bus.upstream.client import UpstreamClient
from govid.bus.upstream.models import (
    CredentialsRejected,
    UpstreamFailure,
    UpstreamRequest,
    UpstreamResponse,
)

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


class TokenClient:
    """Requests access tokens for govid itself (OAuth client credentials)."""

    def __init__(
        self,
        api: UpstreamClient,
        path: str,
        build_form: Callable[[], Mapping[str, str]],
        parse_token: Callable[[UpstreamResponse], BearerToken],
    ) -> None:
        """Send a new form to *path* of *api* for each attempt; parse a successful response."""
        self._api = api
        self._path = path
        self._build_form = build_form
        self._parse_token = parse_token

    def build_cache(self, clock: Callable[[], float] = time.monotonic) -> TokenCache:
        """Return a token cache that is filled by this client; *clock* is monotonic, in seconds."""
        return TokenCache(self._fetch, clock)

    async def _fetch(self) -> BearerToken:
        response = await self._api.request(self._build_request)
        if not response.is_success:
            # A refusal always concerns govid's own credentials, never a person.
            self._api.breaker.trip()
            raise CredentialsRejected(response.department, "credentials refused")
        return self._parse_token(response)

    def _build_request(self) -> UpstreamRequest:
        return build_token_request("token.get", self._path, self._build_form(), repeatable=True)


def build_token_request(
    operation: str,
    path: str,
    form: Mapping[str, str],
    *,
    repeatable: bool = False,
    correlation_id: str | None = None,
) -> UpstreamRequest:
    """Return the request that sends *form* to the token endpoint at *path*."""
    return UpstreamRequest(
        operation=operation,
        method="POST",
        route=path,
        path=path,
        headers={"Content-Type": "application/x-www-form-urlencoded"},
        body=urlencode(form).encode(),
        repeatable=repeatable,
        correlation_id=correlation_id,
    )


class AuthorisedClient:
    """Client of one API that adds an access token to each request."""

    def __init__(
        self,
        client: UpstreamClient,
        tokens: TokenCache,
        is_token_refusal: Callable[[UpstreamResponse], bool],
    ) -> None:
        """Call *client* with *tokens*; *is_token_refusal* recognises a refused token.

        Not every 401 does: a department may also answer 401 about a person.
        """
        self.client = client
        self._tokens = tokens
        self._is_token_refusal = is_token_refusal

    async def request(self, request: UpstreamRequest) -> UpstreamResponse:
        """Send *request* with a token; send it again with a new token if the first is refused.

        Raises:
            CredentialsRejected: the new token is refused as well; the breaker is open now.
            UpstreamFailure: there is no response, or no token.
        """
        response = await self._send_with_token(await self._tokens.get(), request)
        if not self._is_token_refusal(response):
            return response
        response = await self._send_with_token(await self._tokens.get(), request)
        if not self._is_token_refusal(response):
            return response
        self.client.breaker.trip()
        raise CredentialsRejected(response.department, "token refused")

    async def _send_with_token(self, token: str, request: UpstreamRequest) -> UpstreamResponse:
        headers = {**request.headers, "Authorization": f"Bearer {token}"}
        response = await self.client.request(structs.replace(request, headers=headers))
        if self._is_token_refusal(response):
            self._tokens.evict(token)
        return response

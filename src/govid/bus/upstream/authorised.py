"""Sends requests with an access token, and renews the token once if it is refused."""

from collections.abc import Callable

from msgspec import structs

from govid.bus.upstream.api import UpstreamClient
from govid.bus.upstream.calls import UpstreamRequest, UpstreamResponse
from govid.bus.upstream.errors import CredentialsRejected
from govid.bus.upstream.tokens import TokenCache


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
        answer = await self._send_with(await self._tokens.get(), request)
        if not self._is_token_refusal(answer):
            return answer
        answer = await self._send_with(await self._tokens.get(), request)
        if not self._is_token_refusal(answer):
            return answer
        self.client.breaker.trip()
        raise CredentialsRejected(answer.department, "token refused")

    async def _send_with(self, token: str, request: UpstreamRequest) -> UpstreamResponse:
        headers = {**request.headers, "Authorization": f"Bearer {token}"}
        answer = await self.client.request(structs.replace(request, headers=headers))
        if self._is_token_refusal(answer):
            self._tokens.evict(token)
        return answer

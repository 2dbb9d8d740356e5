"""Sends requests with an access token, and renews the token once if it is refused."""

from collections.abc import Callable

from msgspec import structs

from govid.bus.upstream.api import Api
from govid.bus.upstream.calls import Answer, Call
from govid.bus.upstream.errors import AuthFailed
from govid.bus.upstream.tokens import TokenCache


class Authorised:
    """Client of one API that adds an access token to each request."""

    def __init__(self, api: Api, tokens: TokenCache, is_refusal: Callable[[Answer], bool]) -> None:
        """Call *client* with *tokens*; *is_token_refusal* recognises a refused token.

        Not every 401 does: a department may also answer 401 about a person.
        """
        self.api = api
        self._tokens = tokens
        self._is_refusal = is_refusal

    async def send(self, call: Call) -> Answer:
        """Send *request* with a token; send it again with a new token if the first is refused.

        Raises:
            CredentialsRejected: the new token is refused as well; the breaker is open now.
            UpstreamFailure: there is no response, or no token.
        """
        answer = await self._send_with(await self._tokens.get(), call)
        if not self._is_refusal(answer):
            return answer
        answer = await self._send_with(await self._tokens.get(), call)
        if not self._is_refusal(answer):
            return answer
        self.api.breaker.trip()
        raise AuthFailed(answer.api, "token refused")

    async def _send_with(self, token: str, call: Call) -> Answer:
        headers = {**call.headers, "Authorization": f"Bearer {token}"}
        answer = await self.api.send(structs.replace(call, headers=headers))
        if self._is_refusal(answer):
            self._tokens.forget(token)
        return answer

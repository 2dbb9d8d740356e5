"""Calls that carry a token, and get a new one once if the other side refuses the first."""

from collections.abc import Callable

from msgspec import structs

from govid.bus.upstream.api import Api
from govid.bus.upstream.calls import Answer, Call
from govid.bus.upstream.errors import AuthFailed
from govid.bus.upstream.tokens import TokenCache


class Authorised:
    """An API, with the token that it wants."""

    def __init__(self, api: Api, tokens: TokenCache, is_refusal: Callable[[Answer], bool]) -> None:
        """Call *api* with *tokens*; *is_refusal* knows its answer to a token that is no good.

        Not every 401 is one: a department may answer so about a person.
        """
        self.api = api
        self._tokens = tokens
        self._is_refusal = is_refusal

    async def send(self, call: Call) -> Answer:
        """Send *call* with a token; the same call again with a new one, if the first is refused.

        Raises:
            AuthFailed: the new one is refused as well; the breaker is open now.
            UpstreamFailure: there is no answer, or no token.
        """
        answer = await self._with(await self._tokens.get(), call)
        if not self._is_refusal(answer):
            return answer
        answer = await self._with(await self._tokens.get(), call)
        if not self._is_refusal(answer):
            return answer
        self.api.breaker.trip()
        raise AuthFailed(answer.api, "token refused")

    async def _with(self, token: str, call: Call) -> Answer:
        headers = {**call.headers, "Authorization": f"Bearer {token}"}
        answer = await self.api.send(structs.replace(call, headers=headers))
        if self._is_refusal(answer):
            self._tokens.forget(token)
        return answer

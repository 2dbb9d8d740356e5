"""A token that is refused is replaced once, and only for a refusal of the token."""

import pytest

from govid.bus.upstream import (
    AuthorisedClient,
    BearerToken,
    BreakerState,
    CredentialsRejected,
    TokenCache,
    UpstreamRequest,
    UpstreamResponse,
)

from .conftest import Opened
from .loopback import Loopback, reply

REFUSED = reply(401, b'{"code":"INVALID_CREDENTIALS"}')
NO_MATCH = reply(401, b'{"errors":"CID returned no record"}')


def is_refusal(answer: UpstreamResponse) -> bool:
    return answer.status == 401 and b"INVALID_CREDENTIALS" in answer.body


@pytest.fixture
def tokens() -> TokenCache:
    values = iter("abc")

    async def fetch() -> BearerToken:
        return BearerToken(value=next(values), life_seconds=600)

    return TokenCache(fetch)


async def test_a_refused_token_is_replaced_once(
    opened: Opened, call: UpstreamRequest, tokens: TokenCache
) -> None:
    async with Loopback(REFUSED, reply(200)) as server:
        answer = await AuthorisedClient(opened(server.url), tokens, is_refusal).request(call)
    assert answer.status == 200
    assert [one.headers["authorization"] for one in server.seen] == ["Bearer a", "Bearer b"]
    assert [one.headers["x-request-id"] for one in server.seen] == [
        call.headers["X-Request-ID"]
    ] * 2


async def test_a_second_refusal_is_final_and_opens_the_breaker(
    opened: Opened, call: UpstreamRequest, tokens: TokenCache
) -> None:
    async with Loopback(REFUSED) as server:
        api = opened(server.url)
        with pytest.raises(CredentialsRejected):
            await AuthorisedClient(api, tokens, is_refusal).request(call)
    assert len(server.seen) == 2
    assert api.breaker.state is BreakerState.OPEN


async def test_a_401_about_a_person_replaces_no_token(
    opened: Opened, once: UpstreamRequest, tokens: TokenCache
) -> None:
    async with Loopback(NO_MATCH) as server:
        answer = await AuthorisedClient(opened(server.url), tokens, is_refusal).request(once)
    assert answer.status == 401
    assert len(server.seen) == 1
    assert await tokens.get() == "a"

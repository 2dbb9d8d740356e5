"""One cached token for all callers, replaced before it expires."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from govid.bus.upstream import BearerToken, CredentialsRejected, TokenCache, UpstreamUnavailable


class Issuer:
    """Gives tokens `1`, `2`, ... that live 100 seconds, by a clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.asked = 0
        self.failure: Exception | None = None
        self.gate: Callable[[], Awaitable[object]] = lambda: asyncio.sleep(0)

    async def fetch(self) -> BearerToken:
        self.asked += 1
        number = self.asked
        await self.gate()
        if self.failure is not None:
            raise self.failure
        return BearerToken(value=str(number), life_seconds=100)


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
def cache(issuer: Issuer) -> TokenCache:
    return TokenCache(issuer.fetch, lambda: issuer.now)


async def test_it_is_used_until_four_fifths_of_its_life_are_over(
    issuer: Issuer, cache: TokenCache
) -> None:
    assert await cache.get() == "1"
    issuer.now += 79.9
    assert await cache.get() == "1"
    issuer.now += 0.1
    assert await cache.get() == "2"


async def test_fifty_callers_at_once_make_one_call(issuer: Issuer, cache: TokenCache) -> None:
    assert await asyncio.gather(*(cache.get() for _ in range(50))) == ["1"] * 50
    assert issuer.asked == 1


async def test_what_fails_has_failed_for_all_who_waited(issuer: Issuer, cache: TokenCache) -> None:
    issuer.failure = UpstreamUnavailable("nhs", "503", retry_after=5)
    found = await asyncio.gather(*(cache.get() for _ in range(50)), return_exceptions=True)
    assert [(type(one), getattr(one, "retry_after", None)) for one in found] == [
        (UpstreamUnavailable, 5)
    ] * 50
    assert issuer.asked == 1


async def test_after_a_failure_the_next_caller_tries_again(
    issuer: Issuer, cache: TokenCache
) -> None:
    issuer.failure = CredentialsRejected("nhs", "invalid_request")
    with pytest.raises(CredentialsRejected):
        await cache.get()
    issuer.failure = None
    assert await cache.get() == "2"


async def test_the_old_one_is_used_on_while_no_new_one_is_to_be_had(
    issuer: Issuer, cache: TokenCache
) -> None:
    await cache.get()
    issuer.failure = UpstreamUnavailable("nhs", "503")
    issuer.now += 99
    assert await cache.get() == "1"
    issuer.now += 1
    with pytest.raises(UpstreamUnavailable):
        await cache.get()


async def test_a_token_that_was_refused_is_replaced_once(issuer: Issuer, cache: TokenCache) -> None:
    refused = await cache.get()
    cache.evict(refused)
    assert await cache.get() == "2"
    cache.evict(refused)
    assert await cache.get() == "2"


async def test_a_caller_who_gives_up_takes_no_one_along(issuer: Issuer, cache: TokenCache) -> None:
    entered = asyncio.Event()
    blocked = asyncio.Event()

    async def gate() -> None:
        entered.set()
        await blocked.wait()

    issuer.gate = gate
    first = asyncio.create_task(cache.get())
    await entered.wait()
    second = asyncio.create_task(cache.get())
    first.cancel()
    await asyncio.wait([first])
    blocked.set()
    assert await second == "2"


def test_a_repr_shows_nothing() -> None:
    token = BearerToken(value="secret", life_seconds=1)
    assert repr(token) == f"<{type(token).__name__}>"

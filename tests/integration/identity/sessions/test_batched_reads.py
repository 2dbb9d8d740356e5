"""Batched reads of sessions: each request gets its own result, read after it asked."""

import asyncio
from collections import Counter
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from govid.bus import Database, Principal
from govid.identity.errors import AccountsUnreachable, InvalidToken
from tests.integration.identity.conftest import IdentityFixture


async def crowd(identity: IdentityFixture, tokens: list[str]) -> list[Principal | BaseException]:
    return await asyncio.gather(*map(identity.authenticate, tokens), return_exceptions=True)


async def test_each_of_a_crowd_gets_their_own_account(identity: IdentityFixture) -> None:
    ada = await identity.register()
    eve = await identity.register(email="eve@example.com", identifier_value="AB123457D")
    tokens = [await identity.login(), await identity.login("eve@example.com")]
    principals = await crowd(identity, tokens * 20)
    assert [p.account_id for p in principals] == [ada.id, eve.id] * 20  # type: ignore[union-attr]  # else it fails


async def test_one_dead_session_among_many_ends_no_other(identity: IdentityFixture) -> None:
    ada = await identity.register()
    await identity.register(email="eve@example.com", identifier_value="AB123457D")
    tokens = [await identity.login(), await identity.login("eve@example.com")]
    await identity.report_death(identifier_value="AB123457D")
    results = await crowd(identity, tokens * 10)
    assert Counter(map(type, results)) == {Principal: 10, InvalidToken: 10}
    assert {p.account_id for p in results[::2]} == {ada.id}  # type: ignore[union-attr]  # else it fails


async def test_r12_a_crowd_after_a_block_is_refused_to_the_last(identity: IdentityFixture) -> None:
    await identity.register()
    token = await identity.login()
    before = [asyncio.create_task(identity.authenticate(token)) for _ in range(50)]
    await identity.report_death()
    after = await crowd(identity, [token] * 50)
    assert Counter(map(type, after)) == {InvalidToken: 50}
    await asyncio.gather(*before, return_exceptions=True)


async def test_a_client_that_hangs_up_takes_no_one_along(identity: IdentityFixture) -> None:
    ada = await identity.register()
    token = await identity.login()
    waiting = [asyncio.create_task(identity.authenticate(token)) for _ in range(10)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError)
    assert [p.account_id for p in results[1:]] == [ada.id] * 9  # type: ignore[union-attr]  # else it fails


class Broken:
    """A pool whose first statement fails, as one does when the server restarts."""

    def __init__(self, real: Any) -> None:
        self.real = real
        self.fetchrow = real.fetchrow

    async def fetch(self, *arguments: Any) -> Any:
        self.fetch = self.real.fetch
        raise asyncpg.AdminShutdownError("terminating connection")


async def test_a_failed_statement_lets_no_one_in_and_the_next_one_works(
    identity: IdentityFixture, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await identity.register()
    token = await identity.login()
    monkeypatch.setattr(database, "_reads", Broken(database.reads))
    results = await crowd(identity, [token] * 5)
    assert Counter(map(type, results)) == {AccountsUnreachable: 5}
    assert Counter(map(type, await crowd(identity, [token] * 5))) == {Principal: 5}


async def test_a_crowd_is_read_in_few_statements(
    identity: IdentityFixture, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await identity.register()
    token = await identity.login()
    counting = Counting(database.reads)
    monkeypatch.setattr(database, "_reads", counting)
    await crowd(identity, [token] * 100)
    assert counting.sizes == [100]


class Counting:
    """A pool that remembers how many were asked about together."""

    def __init__(self, real: Any) -> None:
        self.real = real
        self.sizes: list[int] = []

    async def fetch(self, query: str, sessions: list[UUID], accounts: list[UUID]) -> Any:
        self.sizes.append(len(sessions))
        return await self.real.fetch(query, sessions, accounts)

"""Revoking sessions: the current one, another one, all of them."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from govid.identity.errors import InvalidRefreshToken, InvalidToken, SessionNotFound
from govid.identity.repository.sessions import SessionRepository
from tests.integration.identity.conftest import CONTEXT, IdentityFixture


async def revoked(identity: IdentityFixture) -> list[dict[str, Any]]:
    """Return what was audited about ended sessions."""
    query = "SELECT payload FROM bus.event WHERE type = 'identity.session.revoked' ORDER BY pos"
    rows = await identity.database.reads.fetch(query)
    return [dict(row) for row in rows]


async def test_r12_signing_out_ends_this_session_and_no_other(identity: IdentityFixture) -> None:
    await identity.register()
    here, there = await identity.begin(), await identity.begin()
    await identity.session_revoker.logout(await identity.authenticate(here.access_token), CONTEXT)
    with pytest.raises(InvalidToken):
        await identity.authenticate(here.access_token)
    with pytest.raises(InvalidRefreshToken):
        await identity.refresh(here.refresh_token)
    assert (await identity.authenticate(there.access_token)).session_id == there.session_id


async def test_r12_signing_out_everywhere_ends_all_sessions(identity: IdentityFixture) -> None:
    await identity.register()
    grants = [await identity.begin() for _ in range(3)]
    token = await identity.login()
    await identity.session_revoker.logout_all(await identity.authenticate(token), CONTEXT)
    tokens = [token, *(grant.access_token for grant in grants)]
    verdicts = await asyncio.gather(
        *(identity.authenticate(one) for one in tokens), return_exceptions=True
    )
    assert [type(verdict) for verdict in verdicts] == [InvalidToken] * 4
    assert (await identity.authenticate(await identity.login())).email == "ada@example.com"


async def test_r12_an_ended_session_is_dead_even_if_its_row_comes_back(
    identity: IdentityFixture,
) -> None:
    await identity.register()
    token = await identity.login()
    await identity.session_revoker.logout_all(await identity.authenticate(token), CONTEXT)
    await identity.database.reads.execute(
        "UPDATE identity.session SET revoked_at = NULL, revoked_reason = NULL"
    )
    with pytest.raises(InvalidToken):
        await identity.authenticate(token)


async def test_one_of_several_sessions_can_be_ended_from_another(identity: IdentityFixture) -> None:
    await identity.register()
    here, there = await identity.begin(), await identity.begin()
    principal = await identity.authenticate(here.access_token)
    await identity.session_revoker.revoke_other(principal, there.session_id, CONTEXT)
    with pytest.raises(InvalidToken):
        await identity.authenticate(there.access_token)
    await identity.authenticate(here.access_token)
    with pytest.raises(SessionNotFound):
        await identity.session_revoker.revoke_other(principal, there.session_id, CONTEXT)


async def test_another_persons_session_is_as_one_that_does_not_exist(
    identity: IdentityFixture,
) -> None:
    await identity.register()
    await identity.register(email="eve@example.com", identifier_value="AB123457A")
    victim, eve = await identity.begin(), await identity.begin("eve@example.com")
    principal = await identity.authenticate(eve.access_token)
    refusals = await asyncio.gather(
        identity.session_revoker.revoke_other(principal, victim.session_id, CONTEXT),
        identity.session_revoker.revoke_other(principal, UUID(int=7), CONTEXT),
        return_exceptions=True,
    )
    assert [repr(refusal) for refusal in refusals] == [repr(SessionNotFound())] * 2
    await identity.authenticate(victim.access_token)


async def test_no_one_waits_for_the_lock_of_another_persons_session(
    identity: IdentityFixture,
) -> None:
    await identity.register()
    await identity.register(email="eve@example.com", identifier_value="AB123457A")
    victim, eve = await identity.begin(), await identity.begin("eve@example.com")
    principal = await identity.authenticate(eve.access_token)
    async with identity.uow.begin(CONTEXT) as tx:
        account_id = (await identity.authenticate(victim.access_token)).account_id
        assert await SessionRepository().lock_live(tx, victim.session_id, account_id=account_id)
        async with asyncio.timeout(2):
            with pytest.raises(SessionNotFound):
                await identity.session_revoker.revoke_other(principal, victim.session_id, CONTEXT)


async def test_two_sessions_that_end_each_other_leave_one(identity: IdentityFixture) -> None:
    await identity.register()
    one, other = await identity.begin(), await identity.begin()
    first = await identity.authenticate(one.access_token)
    second = await identity.authenticate(other.access_token)
    results = await asyncio.gather(
        identity.session_revoker.revoke_other(first, other.session_id, CONTEXT),
        identity.session_revoker.revoke_other(second, one.session_id, CONTEXT),
        return_exceptions=True,
    )
    assert sorted(type(result).__name__ for result in results) == ["InvalidToken", "NoneType"]


async def test_a_request_whose_session_ended_on_its_way_ends_nothing(
    identity: IdentityFixture,
) -> None:
    await identity.register()
    principal = await identity.authenticate(await identity.login())
    other = await identity.begin()
    await identity.session_revoker.logout(principal, CONTEXT)
    with pytest.raises(InvalidToken):
        await identity.session_revoker.logout_all(principal, CONTEXT)
    with pytest.raises(InvalidToken):
        await identity.session_revoker.logout(principal, CONTEXT)
    await identity.authenticate(other.access_token)


async def test_each_end_is_audited_once(identity: IdentityFixture) -> None:
    await identity.register()
    one = await identity.authenticate(await identity.login())
    two = await identity.authenticate(await identity.login())
    three = await identity.authenticate(await identity.login())
    await identity.session_revoker.logout(one, CONTEXT)
    await identity.session_revoker.logout_all(two, CONTEXT)
    events = [str(event["payload"]) for event in await revoked(identity)]
    assert len(events) == 2
    assert str(one.session_id) in events[0]
    assert '"reason": "logout"' in events[0] or '"reason":"logout"' in events[0]
    assert str(two.session_id) in events[1]
    assert str(three.session_id) in events[1]


async def test_sessions_are_listed_in_pages_with_the_current_one_marked(
    identity: IdentityFixture,
) -> None:
    await identity.register()
    grants = [await identity.begin() for _ in range(3)]
    ended = await identity.begin()
    principal = await identity.authenticate(grants[1].access_token)
    await identity.session_revoker.revoke_other(principal, ended.session_id, CONTEXT)
    page = await identity.session_listing.list_own(principal, CONTEXT, limit=2, after=None)
    rest = await identity.session_listing.list_own(principal, CONTEXT, limit=2, after=page.cursor)
    assert [one.id for one in page.items] == [grants[0].session_id, grants[1].session_id]
    assert [one.id for one in rest.items] == [grants[2].session_id]
    assert [one.current for one in (*page.items, *rest.items)] == [False, True, False]
    assert page.items[0].expires_at - page.items[0].last_seen_at == timedelta(hours=1)
    assert rest.cursor is None

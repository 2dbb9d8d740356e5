"""Session expiry: idle, expired, recorded, deleted."""

from typing import Any

import msgspec
import pytest

from govid.identity.errors import InvalidToken
from govid.identity.sessions.expiry import SessionExpiry
from tests.integration.identity.conftest import CONTEXT, IdentityFixture

AGO = "clock_timestamp() - interval '{}'"


async def alter(identity: IdentityFixture, **columns: str) -> None:
    """Give all sessions other times, as SQL."""
    pairs = ", ".join(f"{name} = {value}" for name, value in columns.items())
    await identity.database.reads.execute(f"UPDATE identity.session SET {pairs}")  # noqa: S608 - a test's own


async def session(identity: IdentityFixture) -> dict[str, Any]:
    """Return the only session."""
    return dict(await identity.database.reads.fetchrow("SELECT * FROM identity.session"))


async def expire(identity: IdentityFixture, rows: int = 500) -> int:
    async with identity.uow.begin(CONTEXT) as tx:
        return await SessionExpiry().expire_due(tx, rows)


async def purge(identity: IdentityFixture, rows: int = 500) -> int:
    async with identity.uow.begin(CONTEXT) as tx:
        return await SessionExpiry().delete_ended(tx, rows)


async def expired(identity: IdentityFixture) -> list[str]:
    """Return the ids of sessions whose expiry was audited."""
    query = "SELECT payload::text FROM bus.event WHERE type = 'identity.session.expired'"
    rows = await identity.database.reads.fetch(query)
    return sorted(msgspec.json.decode(row[0])["session_id"] for row in rows)


async def test_an_idle_session_is_dead_before_anyone_has_noted_it(
    identity: IdentityFixture,
) -> None:
    await identity.register()
    grant = await identity.begin()
    await alter(identity, idle_expires_at="clock_timestamp()")
    with pytest.raises(InvalidToken):
        await identity.authenticate(grant.access_token)


async def test_a_session_begins_with_an_hour_to_be_idle_and_twelve_to_live(
    identity: IdentityFixture,
) -> None:
    await identity.register()
    await identity.begin()
    row = await session(identity)
    assert (row["idle_expires_at"] - row["last_seen_at"]).total_seconds() == 3600
    assert (row["absolute_expires_at"] - row["created_at"]).total_seconds() == 43_200


async def test_the_contracts_token_is_not_ended_by_being_idle(identity: IdentityFixture) -> None:
    await identity.register()
    await identity.login()
    row = await session(identity)
    assert row["idle_expires_at"] == row["absolute_expires_at"]


async def test_use_is_noted_once_a_minute_and_moves_the_end_of_being_idle(
    identity: IdentityFixture,
) -> None:
    await identity.register()
    grant = await identity.begin()
    before = await session(identity)
    await identity.authenticate(grant.access_token)
    assert not identity.last_seen._used_sessions
    await alter(identity, last_seen_at=AGO.format("61 seconds"))
    await identity.authenticate(grant.access_token)
    await identity.last_seen.flush()
    after = await session(identity)
    assert after["last_seen_at"] > before["last_seen_at"]
    assert after["idle_expires_at"] > before["idle_expires_at"]
    assert after["absolute_expires_at"] == before["absolute_expires_at"]


@pytest.mark.parametrize(
    "columns",
    [
        {"revoked_at": "clock_timestamp()", "revoked_reason": "'test'"},
        {"idle_expires_at": "clock_timestamp()"},
    ],
    ids=["revoked", "idle"],
)
async def test_a_dead_session_is_not_brought_back_by_having_been_seen(
    identity: IdentityFixture, columns: dict[str, str]
) -> None:
    await identity.register()
    grant = await identity.begin()
    identity.last_seen.record_use(grant.session_id)
    await alter(identity, last_seen_at=AGO.format("61 seconds"), **columns)
    before = await session(identity)
    await identity.last_seen.flush()
    assert await session(identity) == before


async def test_expired_sessions_are_marked_and_audited_once(identity: IdentityFixture) -> None:
    await identity.register()
    idle, living = await identity.begin(), await identity.begin()
    await identity.database.reads.execute(
        "UPDATE identity.session SET idle_expires_at = clock_timestamp() WHERE id = $1",
        idle.session_id,
    )
    assert [await expire(identity), await expire(identity)] == [1, 0]
    assert await expired(identity) == [str(idle.session_id)]
    await identity.authenticate(living.access_token)


async def test_an_end_before_is_no_expiry(identity: IdentityFixture) -> None:
    await identity.register()
    principal = await identity.authenticate(await identity.login())
    await identity.session_revoker.logout(principal, CONTEXT)
    await alter(identity, idle_expires_at="clock_timestamp()")
    assert await expire(identity) == 0


async def test_expiry_goes_by_batches(identity: IdentityFixture) -> None:
    await identity.register()
    grants = [await identity.begin() for _ in range(3)]
    await alter(identity, idle_expires_at="clock_timestamp()")
    assert [await expire(identity, 2), await expire(identity, 2)] == [2, 1]
    assert await expired(identity) == sorted(str(grant.session_id) for grant in grants)


async def test_what_has_been_dead_for_a_day_is_deleted_with_its_tokens(
    identity: IdentityFixture,
) -> None:
    await identity.register()
    await identity.begin()
    await alter(identity, revoked_at=AGO.format("25 hours"), revoked_reason="'expired'")
    kept = await identity.begin()
    assert await purge(identity) == 1
    assert (await session(identity))["id"] == kept.session_id
    assert await identity.count("identity.refresh_token") == 1


async def test_what_died_today_is_kept(identity: IdentityFixture) -> None:
    await identity.register()
    await identity.begin()
    await alter(identity, revoked_at=AGO.format("23 hours"), revoked_reason="'expired'")
    assert await purge(identity) == 0

"""Refresh-token rotation: each token is valid once, and reuse is detected."""

import asyncio
import hashlib
from collections import Counter
from typing import Any

import jwt
import pytest

from govid.identity.errors import InvalidRefreshToken, InvalidToken
from govid.identity.schemas import GrantView
from tests.integration.identity.conftest import CONTEXT, IdentityFixture


async def session(identity: IdentityFixture) -> dict[str, Any]:
    """Return the only session."""
    return dict(await identity.database.reads.fetchrow("SELECT * FROM identity.session"))


async def reuses(identity: IdentityFixture) -> int:
    """Return how often a reuse was audited."""
    return (await identity.events()).count("identity.refresh.reuse")


@pytest.fixture
async def grant(identity: IdentityFixture) -> GrantView:
    """Return the tokens of a session that has just begun."""
    await identity.register()
    return await identity.begin()


async def test_a_session_is_renewed_with_other_tokens(
    identity: IdentityFixture, grant: GrantView
) -> None:
    renewed = await identity.refresh(grant.refresh_token)
    assert renewed.session_id == grant.session_id
    assert renewed.refresh_token != grant.refresh_token
    assert renewed.access_token != grant.access_token
    assert (await identity.authenticate(renewed.access_token)).session_id == grant.session_id


async def test_a_token_that_can_be_renewed_lives_for_five_minutes(
    identity: IdentityFixture, grant: GrantView
) -> None:
    claims = jwt.decode(grant.access_token, options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == grant.expires_in == 300


async def test_r11_the_database_holds_digests_only(
    identity: IdentityFixture, grant: GrantView
) -> None:
    rows = await identity.database.reads.fetch("SELECT * FROM identity.refresh_token")
    assert [row["hash"] for row in rows] == [hashlib.sha256(grant.refresh_token.encode()).digest()]
    assert grant.refresh_token not in str([dict(row) for row in rows])
    assert len(grant.refresh_token) == 43


async def test_r11_a_second_use_ends_the_family_and_is_audited(
    identity: IdentityFixture, grant: GrantView
) -> None:
    renewed = await identity.refresh(grant.refresh_token)
    with pytest.raises(InvalidRefreshToken):
        await identity.refresh(grant.refresh_token)
    with pytest.raises(InvalidRefreshToken):
        await identity.refresh(renewed.refresh_token)
    with pytest.raises(InvalidToken):
        await identity.authenticate(renewed.access_token)
    assert (await session(identity))["revoked_reason"] == "refresh_reuse"
    assert (await identity.events())[-2:] == ["identity.refresh.reuse", "identity.session.revoked"]


async def test_r11_a_family_dies_once(identity: IdentityFixture, grant: GrantView) -> None:
    await identity.refresh(grant.refresh_token)
    attempts = [identity.refresh(grant.refresh_token) for _ in range(3)]
    await asyncio.gather(*attempts, return_exceptions=True)
    assert await reuses(identity) == 1


async def test_r11_of_twenty_parallel_uses_one_succeeds_and_the_family_is_dead(
    identity: IdentityFixture, grant: GrantView
) -> None:
    attempts = [identity.refresh(grant.refresh_token) for _ in range(20)]
    results = await asyncio.gather(*attempts, return_exceptions=True)
    assert Counter(type(result).__name__ for result in results) == {
        "GrantView": 1,
        "InvalidRefreshToken": 19,
    }
    (winner,) = (result for result in results if isinstance(result, GrantView))
    assert await reuses(identity) == 1
    with pytest.raises(InvalidToken):
        await identity.authenticate(winner.access_token)
    with pytest.raises(InvalidRefreshToken):
        await identity.refresh(winner.refresh_token)


async def test_r11_another_client_is_refused_and_the_family_kept(
    identity: IdentityFixture, grant: GrantView
) -> None:
    with pytest.raises(InvalidRefreshToken):
        await identity.refresh(grant.refresh_token, client_id="another")
    renewed = await identity.refresh(grant.refresh_token)
    with pytest.raises(InvalidRefreshToken):
        await identity.refresh(grant.refresh_token, client_id="another")
    await identity.authenticate(renewed.access_token)
    assert await reuses(identity) == 0


async def test_a_token_of_no_account_is_refused(
    identity: IdentityFixture, grant: GrantView
) -> None:
    with pytest.raises(InvalidRefreshToken) as refusal:
        await identity.refresh("a" * 43)
    assert refusal.value.detail == "The refresh token is not valid; please sign in again"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE identity.session SET revoked_at = now(), revoked_reason = 'logout'",
        "UPDATE identity.session SET idle_expires_at = clock_timestamp()",
        "UPDATE identity.session SET (created_at, absolute_expires_at) = ('2020-01-01', now())",
        "UPDATE identity.refresh_token SET expires_at = clock_timestamp()",
        "UPDATE identity.account SET tokens_valid_after = clock_timestamp()",
        "UPDATE identity.account SET status = 'blocked', status_before = status",
        "DELETE FROM identity.account",
    ],
)
async def test_what_has_ended_is_not_renewed(
    identity: IdentityFixture, grant: GrantView, statement: str
) -> None:
    await identity.database.reads.execute(statement)
    with pytest.raises(InvalidRefreshToken):
        await identity.refresh(grant.refresh_token)
    assert await reuses(identity) == 0


async def test_renewing_keeps_a_session_from_being_idle_but_not_from_its_end(
    identity: IdentityFixture, grant: GrantView
) -> None:
    before = await session(identity)
    await identity.refresh(grant.refresh_token)
    after = await session(identity)
    assert after["idle_expires_at"] > before["idle_expires_at"]
    assert after["last_seen_at"] > before["last_seen_at"]
    assert after["absolute_expires_at"] == before["absolute_expires_at"]


async def test_r11_a_renewal_that_fails_leaves_the_token_good(
    identity: IdentityFixture, grant: GrantView, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(identity.refresh_rotation._session_issuer, "renew_tokens", fail)
        with pytest.raises(ZeroDivisionError):
            await identity.refresh(grant.refresh_token)
    assert (await identity.refresh(grant.refresh_token)).session_id == grant.session_id


async def test_a_session_revoked_while_it_is_renewed_is_dead_afterwards(
    identity: IdentityFixture, grant: GrantView
) -> None:
    principal = await identity.authenticate(grant.access_token)
    await asyncio.gather(
        identity.refresh(grant.refresh_token),
        identity.session_revoker.logout(principal, CONTEXT),
        return_exceptions=True,
    )
    with pytest.raises(InvalidToken):
        await identity.authenticate(grant.access_token)

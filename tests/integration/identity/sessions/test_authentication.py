"""Authentication of access tokens: authority is read at every request and never cached."""

from uuid import UUID

import msgspec
import pytest

from govid.bus import Database, Principal
from govid.identity.errors import AccountsUnreachable, InvalidToken
from tests.integration.identity.conftest import SETTINGS, IdentityFixture, build_identity


async def test_a_token_names_its_account_as_the_database_has_it(identity: IdentityFixture) -> None:
    view = await identity.register()
    token = await identity.login()
    await identity.set_columns(view.id, status="verified")
    session_id = await identity.database.reads.fetchval("SELECT id FROM identity.session")
    assert await identity.authenticate(token) == Principal(
        account_id=view.id,
        session_id=session_id,
        email="ada@example.com",
        identifier_type="NIN",
        identifier_value="AB123456C",
        phone_number="+447123456789",
        status="verified",
        auth_provider="email",
        created_at=view.created_at,
        updated_at=view.updated_at,
        assurance="P1",
    )


async def test_r12_a_block_ends_a_token_on_the_very_next_request(identity: IdentityFixture) -> None:
    await identity.register()
    token = await identity.login()
    await identity.authenticate(token)
    await identity.report_death()
    with pytest.raises(InvalidToken):
        await identity.authenticate(token)


async def test_r12_a_block_ends_a_token_in_another_process_too(
    identity: IdentityFixture, database: Database
) -> None:
    other = await build_identity(database)
    await identity.register()
    token = await identity.login()
    await other.authenticate(token)
    await identity.report_death()
    with pytest.raises(InvalidToken):
        await other.authenticate(token)


async def test_r12_a_token_from_before_a_block_stays_dead_after_it(
    identity: IdentityFixture,
) -> None:
    view = await identity.register()
    token = await identity.login()
    await identity.report_death()
    await identity.set_columns(view.id, status="verified", status_before=None)
    with pytest.raises(InvalidToken):
        await identity.authenticate(token)
    assert (await identity.authenticate(await identity.login())).account_id == view.id


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE identity.session SET revoked_at = now(), revoked_reason = 'logout'",
        "UPDATE identity.session SET (created_at, absolute_expires_at) = ('2020-01-01', now())",
        "UPDATE identity.account SET tokens_valid_after = clock_timestamp()",
        "DELETE FROM identity.session",
        "DELETE FROM identity.account",
    ],
)
async def test_each_way_to_end_a_session_ends_its_token(
    identity: IdentityFixture, statement: str
) -> None:
    await identity.register()
    token = await identity.login()
    await identity.authenticate(token)
    await identity.database.reads.execute(statement)
    with pytest.raises(InvalidToken):
        await identity.authenticate(token)


async def test_ending_one_session_leaves_the_others(identity: IdentityFixture) -> None:
    view = await identity.register()
    first, second = await identity.login(), await identity.login()
    session_id = (await identity.authenticate(first)).session_id
    query = "UPDATE identity.session SET revoked_at = now(), revoked_reason = 'x' WHERE id = $1"
    await identity.database.reads.execute(query, session_id)
    assert (await identity.authenticate(second)).account_id == view.id


async def test_a_session_of_another_person_is_not_a_token_of_mine(
    identity: IdentityFixture,
) -> None:
    await identity.register()
    await identity.login()
    session = await identity.database.reads.fetchrow("SELECT * FROM identity.session")
    token = identity.tokens.issue(
        account_id=UUID(int=7),
        session_id=session["id"],
        client_id="govid",
        acr="Cl",
        auth_time=session["auth_time"],
    )
    with pytest.raises(InvalidToken):
        await identity.authenticate(token)


async def test_a_restart_keeps_tokens_alive(identity: IdentityFixture, database: Database) -> None:
    view = await identity.register()
    token = await identity.login()
    restarted = await build_identity(database)
    assert (await restarted.authenticate(token)).account_id == view.id


async def test_shared_secret_tokens_work_where_they_are_chosen(database: Database) -> None:
    settings = msgspec.structs.replace(SETTINGS, algorithm="HS256", secret_key=b"s" * 32)
    identity = await build_identity(database, settings)
    view = await identity.register()
    assert (await identity.authenticate(await identity.login())).account_id == view.id
    assert await identity.count("identity.signing_key") == 0


async def test_no_one_passes_when_the_database_is_away(
    identity: IdentityFixture, database: Database
) -> None:
    await identity.register()
    token = await identity.login()
    await identity.authenticate(token)
    await database.reads.close()
    with pytest.raises(AccountsUnreachable):
        await identity.authenticate(token)

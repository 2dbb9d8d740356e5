"""How many statements each use case sends: a count that grows is a decision, not an accident."""

from tests.integration.identity.conftest import IdentityFixture
from tests.statements import statements


async def test_registration_sends_seven_statements_in_one_transaction(
    identity: IdentityFixture,
) -> None:
    async with statements(identity.database.requests) as sent:
        await identity.register()
    assert sent == [
        "BEGIN",
        "COMMIT",
        "INSERT INTO",
        "SELECT identity.life_event.id,",
        "UPDATE identity.life_event",
        "WITH incoming",
        "WITH locked",
        "WITH locked",
        "WITH rewritten",
    ]


async def test_signing_in_sends_eight_statements_in_two_transactions(
    identity: IdentityFixture,
) -> None:
    await identity.register()
    async with statements(identity.database.requests) as sent:
        await identity.login()
    assert sent == [
        "BEGIN",
        "BEGIN",
        "COMMIT",
        "COMMIT",
        "INSERT INTO",
        "INSERT INTO",
        "INSERT INTO",
        "SELECT identity.account.id,",
        "SELECT identity.account.id,",
        "UPDATE identity.quota",
        "UPDATE identity.throttle",
        "WITH incoming",
    ]


async def test_a_renewal_sends_six_statements_in_one_transaction(identity: IdentityFixture) -> None:
    await identity.register()
    grant = await identity.begin()
    async with statements(identity.database.requests) as sent:
        await identity.refresh(grant.refresh_token)
    assert sent == [
        "BEGIN",
        "COMMIT",
        "INSERT INTO",
        "SELECT identity.account.id",
        "SELECT identity.refresh_token.session_id,",
        "SELECT identity.session.account_id,",
        "UPDATE identity.refresh_token",
        "UPDATE identity.session",
    ]


async def test_authentication_sends_nothing_through_a_transaction(
    identity: IdentityFixture,
) -> None:
    await identity.register()
    token = await identity.login()
    async with statements(identity.database.requests) as sent:
        await identity.authenticate(token)
    assert sent == []

"""Login: each row of the table of results."""

import asyncio
from collections import Counter
from datetime import timedelta

import jwt
import msgspec
import pytest

from govid.bus import Database
from govid.identity.credentials.hash_queue import HashRequester
from govid.identity.errors import AccountIsBlocked, InvalidCredentials
from tests.integration.identity.conftest import SETTINGS, IdentityFixture, build_identity


async def test_the_right_password_opens_a_session(identity: IdentityFixture) -> None:
    view = await identity.register()
    token = await identity.login()
    claims = jwt.decode(token, options={"verify_signature": False})
    session = await identity.database.reads.fetchrow("SELECT * FROM identity.session")
    assert claims["sub"] == str(view.id)
    assert claims["sid"] == str(session["id"])
    assert claims["auth_time"] == int(session["auth_time"].timestamp())
    assert session["account_id"] == view.id
    life = session["absolute_expires_at"] - session["created_at"]
    assert timedelta(seconds=1800) <= life < timedelta(seconds=1801)


async def test_the_address_may_be_spelt_in_another_case(identity: IdentityFixture) -> None:
    await identity.register()
    principal = await identity.authenticate(await identity.login(email="Ada@EXAMPLE.com"))
    assert principal.email == "ada@example.com"


@pytest.mark.parametrize("status", ["pending_verification", "verified", "verification_failed"])
async def test_every_status_but_blocked_may_sign_in(identity: IdentityFixture, status: str) -> None:
    view = await identity.register()
    await identity.set_columns(view.id, status=status)
    principal = await identity.authenticate(await identity.login())
    assert principal.status == status


@pytest.mark.parametrize(
    "email",
    ["nobody@example.com", "no address", "", "a" * 5000 + "@example.com", "\ud800@example.com"],
)
async def test_an_unknown_address_is_a_wrong_one(identity: IdentityFixture, email: str) -> None:
    await identity.register()
    with pytest.raises(InvalidCredentials) as refusal:
        await identity.login(email=email)
    assert refusal.value.detail == "Invalid email or password"


@pytest.mark.parametrize(
    "password",
    ["password124", "", "Password123", "password123 ", "p" * 257, "p" * 60_000, "\ud800" * 8],
)
async def test_a_wrong_password_is_refused_in_the_same_words(
    identity: IdentityFixture, password: str
) -> None:
    await identity.register()
    with pytest.raises(InvalidCredentials) as refusal:
        await identity.login(password=password)
    assert refusal.value.detail == "Invalid email or password"
    assert await identity.count("identity.session") == 0


async def test_a_blocked_account_is_informed_by_the_right_password(
    identity: IdentityFixture,
) -> None:
    await identity.register()
    await identity.report_death()
    with pytest.raises(AccountIsBlocked) as refusal:
        await identity.login()
    assert refusal.value.detail == "Account is blocked"
    assert await identity.count("identity.session") == 0


async def test_a_blocked_account_is_not_reported_by_a_wrong_password(
    identity: IdentityFixture,
) -> None:
    await identity.register()
    await identity.report_death()
    with pytest.raises(InvalidCredentials):
        await identity.login(password="password124")


async def test_a_damaged_hash_is_a_wrong_password(identity: IdentityFixture) -> None:
    view = await identity.register()
    await identity.set_columns(view.id, password_hash="not a hash")
    with pytest.raises(InvalidCredentials):
        await identity.login()
    assert "identity.credential.corrupt" in await identity.events()


async def test_an_outdated_hash_is_renewed_by_the_sign_in(database: Database) -> None:
    old = await build_identity(database)
    view = await old.register()
    new = await build_identity(database, msgspec.structs.replace(SETTINGS, argon2_memory_kib=20480))
    await new.login()
    row = await new.account(view.id)
    assert row["password_hash"].startswith("$argon2id$v=19$m=20480,t=2,p=1$")
    assert (await new.authenticate(await new.login())).account_id == view.id


async def test_parallel_sign_ins_on_an_outdated_hash_all_pass(database: Database) -> None:
    old = await build_identity(database)
    await old.register()
    new = await build_identity(database, msgspec.structs.replace(SETTINGS, argon2_memory_kib=20480))
    results = await asyncio.gather(*(new.login() for _ in range(6)), return_exceptions=True)
    assert Counter(type(result).__name__ for result in results) == {"str": 6}


async def test_an_account_blocked_while_its_password_was_verified_does_not_get_in(
    identity: IdentityFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    await identity.register()
    verify = identity.passwords.verify

    async def verify_and_die(stored: str | None, password: str, asker: HashRequester) -> bool:
        verdict = await verify(stored, password, asker)
        await identity.report_death()
        return verdict

    monkeypatch.setattr(identity.passwords, "verify", verify_and_die)
    with pytest.raises(AccountIsBlocked):
        await identity.login()
    assert await identity.count("identity.session") == 0

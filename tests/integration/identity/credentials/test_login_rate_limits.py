"""Login under the rate limits: what guessing costs, and what it costs the account holder."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest

from govid.bus import Database
from govid.identity.credentials.hash_queue import HashRequester
from govid.identity.errors import (
    AccountIsBlocked,
    InvalidCredentials,
    LoginBusy,
    TooManyAttempts,
)
from govid.identity.rate_limits import attempts
from govid.identity.schemas import Login, Refresh
from govid.identity.settings import ThrottleSettings
from tests.integration.identity.conftest import (
    CONTEXT,
    PASSWORD,
    SETTINGS,
    IdentityFixture,
    build_identity,
)
from tests.statements import statements

ADA = "ada@example.com"
EVE = {"email": "eve@example.com", "identifier_value": "AB123457D"}
WRONG = "password124"


@contextmanager
def verifications(*parts: IdentityFixture) -> Iterator[Counter[str]]:
    """Count the real and the dummy verifications."""
    counted: Counter[str] = Counter()
    with pytest.MonkeyPatch.context() as patch:
        for one in parts:
            patch.setattr(one.passwords, "verify", _counting(one.passwords.verify, counted))
        yield counted


def _counting(verify: Any, counted: Counter[str]) -> Any:
    async def count_and_verify(stored: str | None, password: str, asker: HashRequester) -> bool:
        counted["dummy" if stored is None else "real"] += 1
        return bool(await verify(stored, password, asker))

    return count_and_verify


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait long enough that no request is refused because this machine is busy."""
    monkeypatch.setattr(attempts, "WAIT_SECONDS", 60.0)


async def lock(identity: IdentityFixture, email: str = ADA) -> None:
    """Fail until *email* is locked."""
    wrong = [identity.login(email, WRONG) for _ in range(6)]
    results = await asyncio.gather(*wrong, return_exceptions=True)
    assert Counter(type(result) for result in results) == {InvalidCredentials: 6}


async def count_admitted(identity: IdentityFixture) -> list[str]:
    """Return the events about sign-in attempts."""
    prefix = "identity.login."
    return [name.removeprefix(prefix) for name in await identity.events() if prefix in name]


async def failures(identity: IdentityFixture) -> Any:
    query = "SELECT failures, pending FROM identity.throttle"
    return tuple(*await identity.database.reads.fetch(query))


async def test_r5_fifty_wrong_passwords_at_once_are_verified_six_times(
    identity: IdentityFixture,
) -> None:
    await identity.register()
    with verifications(identity) as counted:
        results = await asyncio.gather(
            *(identity.login(ADA, f"guess {n}") for n in range(50)), return_exceptions=True
        )
    assert Counter(type(result) for result in results) == {InvalidCredentials: 50}
    assert counted == {"real": 6, "dummy": 44}
    assert Counter(await count_admitted(identity)) == {"failed": 50, "locked": 1}


async def test_r5_in_two_processes_they_are_verified_six_times_too(database: Database) -> None:
    one, other = await build_identity(database), await build_identity(database)
    await one.register()
    with verifications(one, other) as counted:
        await asyncio.gather(
            *(one.login(ADA, f"guess {n}") for n in range(25)),
            *(other.login(ADA, f"another {n}") for n in range(25)),
            return_exceptions=True,
        )
    assert counted == {"real": 6, "dummy": 44}


async def test_r5_fifty_right_passwords_at_once_all_pass(identity: IdentityFixture) -> None:
    await identity.register()
    results = await asyncio.gather(*(identity.login() for _ in range(50)), return_exceptions=True)
    assert Counter(type(result) for result in results) == {str: 50}
    assert await failures(identity) == (0, "{}")


async def test_r5_a_restart_does_not_open_a_lock(database: Database) -> None:
    before = await build_identity(database)
    await before.register()
    await lock(before)
    after = await build_identity(database)
    with verifications(after) as counted, pytest.raises(InvalidCredentials):
        await after.login()
    assert counted == {"dummy": 1}


@pytest.mark.parametrize("tried", ["unknown", "wrong", "locked"])
async def test_r4_each_refusal_costs_the_same_statements_and_one_hash(
    identity: IdentityFixture, monkeypatch: pytest.MonkeyPatch, tried: str
) -> None:
    await identity.register()
    await identity.register(**EVE)
    await lock(identity, EVE["email"])
    hashes = Counter[str]()
    run = identity.passwords._run

    async def count_and_run(asker: HashRequester, work: Any) -> Any:
        hashes["made"] += 1
        return await run(asker, work)

    monkeypatch.setattr(identity.passwords, "_run", count_and_run)
    who = {"unknown": "nobody@example.com", "wrong": ADA, "locked": EVE["email"]}
    async with statements(identity.database.requests) as sent:
        with pytest.raises(InvalidCredentials):
            await identity.login(who[tried], WRONG)
    assert hashes == {"made": 1}
    assert sent == [
        "BEGIN",
        "BEGIN",
        "COMMIT",
        "COMMIT",
        "INSERT INTO",
        "INSERT INTO",
        "SELECT identity.account.id,",
        "UPDATE identity.quota",
        "UPDATE identity.throttle",
        "WITH incoming",
    ]


@pytest.mark.parametrize("typed", ["Ada@example.com", "Nobody@example.com"])
async def test_r1_a_hash_is_waited_for_in_the_name_that_was_given_be_there_one_or_not(
    identity: IdentityFixture, monkeypatch: pytest.MonkeyPatch, typed: str
) -> None:
    await identity.register()
    asked, take = list[tuple[str, str]](), identity.passwords._queue.acquire

    async def note_and_take(asker: HashRequester) -> None:
        asked.append((asker.networks[-1], asker.name))
        await take(asker)

    monkeypatch.setattr(identity.passwords._queue, "acquire", note_and_take)
    with pytest.raises(InvalidCredentials):
        await identity.login(typed, WRONG)
    assert asked == [("none", typed.lower())]


async def test_r4_a_refusal_is_reported_to_the_audit_with_its_reason_and_without_the_address(
    identity: IdentityFixture,
) -> None:
    view = await identity.register()
    await lock(identity)
    with pytest.raises(InvalidCredentials):
        await identity.login()
    with pytest.raises(InvalidCredentials):
        await identity.login("nobody@example.com")
    rows = await identity.database.reads.fetch(
        "SELECT payload FROM bus.event WHERE type = 'identity.login.failed' ORDER BY pos"
    )
    reported = [msgspec.json.decode(row["payload"]) for row in rows]
    account = str(view.id)
    assert [(one["reason"], one["account_id"]) for one in reported] == [
        *[("wrong", account)] * 6,
        ("locked", account),
        ("unknown", None),
    ]
    assert [len(one["subject"]) for one in reported] == [32] * 8


async def test_r6_a_lock_leaves_sessions_alone(identity: IdentityFixture) -> None:
    view = await identity.register()
    token = await identity.login()
    grant = await identity.password_login.login_refreshable(
        Login(email=ADA, password=PASSWORD), CONTEXT
    )
    await lock(identity)
    assert (await identity.authenticate(token)).account_id == view.id
    renewed = await identity.refresh_rotation.rotate(
        Refresh(refresh_token=grant.refresh_token), CONTEXT
    )
    assert (await identity.authenticate(renewed.access_token)).account_id == view.id


async def test_r6_who_was_locked_out_gets_in_when_the_lock_is_over(
    identity: IdentityFixture,
) -> None:
    await identity.register()
    await lock(identity)
    with pytest.raises(InvalidCredentials):
        await identity.login()
    await identity.database.reads.execute(
        "UPDATE identity.throttle SET locked_until = clock_timestamp()"
    )
    await identity.login()
    assert Counter(await count_admitted(identity)) == {
        "failed": 7,
        "locked": 1,
        "lock_expired": 1,
        "succeeded": 1,
    }


async def test_r6_the_right_password_of_a_blocked_account_counts_for_nothing(
    identity: IdentityFixture,
) -> None:
    await identity.register()
    await identity.report_death()
    refused = [identity.login() for _ in range(8)]
    results = await asyncio.gather(*refused, return_exceptions=True)
    assert Counter(type(result) for result in results) == {AccountIsBlocked: 8}
    assert await count_admitted(identity) == ["refused_blocked"] * 8
    assert await failures(identity) == (0, "{}")


async def test_r6_a_full_hash_queue_counts_for_nothing(
    identity: IdentityFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    await identity.register()

    async def busy(*_: object) -> Any:
        raise LoginBusy(retry_after_seconds=5)

    monkeypatch.setattr(identity.passwords, "_run", busy)
    refused = [identity.login() for _ in range(8)]
    results = await asyncio.gather(*refused, return_exceptions=True)
    assert Counter(type(result) for result in results) == {LoginBusy: 8}
    assert await failures(identity) == (0, "{}")
    assert await count_admitted(identity) == []


async def test_r6_whom_their_network_keeps_out_counts_for_nothing(database: Database) -> None:
    throttle = ThrottleSettings(address_failures=1, registrations=0, duplicates=0)
    identity = await build_identity(database, msgspec.structs.replace(SETTINGS, throttle=throttle))
    await identity.register()
    with pytest.raises(InvalidCredentials):
        await identity.login("nobody@example.com")
    with verifications(identity) as counted, pytest.raises(TooManyAttempts):
        await identity.login()
    assert counted == {}
    query = "SELECT count(*) FROM identity.throttle"
    assert await database.reads.fetchval(query) == 1
    assert await count_admitted(identity) == ["failed"]


async def test_r6_a_success_is_reported_once_with_its_account(identity: IdentityFixture) -> None:
    view = await identity.register()
    await identity.login()
    query = "SELECT payload FROM bus.event WHERE type = 'identity.login.succeeded'"
    (row,) = await identity.database.reads.fetch(query)
    assert msgspec.json.decode(row["payload"])["account_id"] == str(view.id)

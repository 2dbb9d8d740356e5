"""Rate limits of registrations: few per network, and few that reveal a taken value."""

import asyncio
from collections import Counter
from typing import Any

import msgspec
import pytest

from govid.bus import Database, OperationContext
from govid.identity.errors import EmailTaken, IdentifierTaken, LoginBusy, TooManyAttempts
from govid.identity.settings import ThrottleSettings
from tests.integration.identity.conftest import (
    CONTEXT,
    SETTINGS,
    IdentityFixture,
    a_registration,
    build_identity,
)

ONE = msgspec.structs.replace(CONTEXT, client_address="192.0.2.1")
OTHER = msgspec.structs.replace(CONTEXT, client_address="192.0.2.2")


async def limited(database: Database, **throttle: Any) -> IdentityFixture:
    """Return identity with these limits only."""
    settings = ThrottleSettings(**{"registrations": 0, "duplicates": 0, **throttle})
    return await build_identity(database, msgspec.structs.replace(SETTINGS, throttle=settings))


async def register(
    identity: IdentityFixture, n: int, context: OperationContext = ONE, **changes: Any
) -> None:
    person = {"email": f"ada{n}@example.com", "identifier_value": f"AB1234{n:02}C", **changes}
    await identity.registration.register(a_registration(**person), context)


async def test_so_many_register_from_one_network_in_an_hour(database: Database) -> None:
    identity = await limited(database, registrations=2)
    await register(identity, 1)
    await register(identity, 2)
    with pytest.raises(TooManyAttempts) as refusal:
        await register(identity, 3)
    assert 3_500 < (refusal.value.retry_after_seconds or 0) <= 3_600
    await register(identity, 3, OTHER)
    assert await identity.count("identity.account") == 3


async def test_parallel_ones_are_counted_like_those_one_by_one(database: Database) -> None:
    identity = await limited(database, registrations=3)
    results = await asyncio.gather(
        *(register(identity, n) for n in range(10)), return_exceptions=True
    )
    kinds = Counter(type(result).__name__ for result in results)
    assert kinds == {"NoneType": 3, "TooManyAttempts": 7}


async def test_so_often_is_reported_that_an_identifier_is_taken(database: Database) -> None:
    identity = await limited(database, duplicates=2)
    await register(identity, 0)
    taken = {"identifier_value": "AB123400C"}
    with pytest.raises(IdentifierTaken):
        await register(identity, 1, ONE, **taken)
    with pytest.raises(IdentifierTaken):
        await register(identity, 2, OTHER, **taken)
    with pytest.raises(TooManyAttempts) as refusal:
        await register(identity, 3, OTHER, **taken)
    assert 86_300 < (refusal.value.retry_after_seconds or 0) <= 86_400
    await register(identity, 3, OTHER)


async def test_so_often_is_reported_that_an_address_is_taken(database: Database) -> None:
    identity = await limited(database, duplicates=1)
    await register(identity, 0)
    with pytest.raises(EmailTaken):
        await register(identity, 1, email="ADA0@example.com")
    with pytest.raises(TooManyAttempts):
        await register(identity, 2, email="ada0@example.com")
    # The other value is free, and was not reported as taken.
    await register(identity, 1)


async def test_a_duplicate_is_reported_to_the_audit_without_its_value(database: Database) -> None:
    identity = await limited(database)
    await register(identity, 0)
    with pytest.raises(IdentifierTaken):
        await register(identity, 1, identifier_value="AB123400C")
    query = "SELECT payload FROM bus.event WHERE type = 'identity.registration.duplicate'"
    payload = msgspec.json.decode(await database.reads.fetchval(query))
    assert payload.keys() == {"subject", "taken", "timestamp"}
    assert payload["taken"] == "NIN"
    assert len(payload["subject"]) == 32


async def test_trusted_callers_are_not_counted(database: Database) -> None:
    identity = await limited(
        database, registrations=1, duplicates=1, trusted_networks=("192.0.2.0/31",)
    )
    await register(identity, 1)
    await register(identity, 2)
    with pytest.raises(EmailTaken):
        await register(identity, 2)
    with pytest.raises(EmailTaken):
        await register(identity, 2)
    await register(identity, 3, OTHER)
    with pytest.raises(TooManyAttempts):
        await register(identity, 4, OTHER)


async def test_r6_who_was_refused_for_our_sake_has_not_registered(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = await limited(database, registrations=1, duplicates=1)

    async def busy(*_: object) -> str:
        raise LoginBusy

    with monkeypatch.context() as patch:
        patch.setattr(identity.passwords, "hash", busy)
        with pytest.raises(LoginBusy):
            await register(identity, 1)
    await register(identity, 1)


async def test_by_default_the_limits_are_those_of_the_design() -> None:
    assert (ThrottleSettings().registrations, ThrottleSettings().duplicates) == (30, 10)

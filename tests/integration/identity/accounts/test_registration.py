"""Registration on a real database."""

import asyncio
from collections import Counter

import msgspec
import pytest

from govid.bus import InvalidRequest
from govid.bus.events import IdentifierType
from govid.identity.errors import EmailTaken, IdentifierTaken
from tests.integration.identity.conftest import IdentityFixture


async def test_an_account_waits_for_its_verification(identity: IdentityFixture) -> None:
    view = await identity.register()
    row = await identity.account(view.id)
    assert row["status"] == "pending_verification"
    assert row["email"] == "ada@example.com"
    assert (row["identifier_type"], row["identifier_value"]) == ("NIN", "AB123456C")
    assert row["password_hash"].startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert (row["created_at"], row["updated_at"]) == (view.created_at, view.updated_at)


async def test_what_is_answered_is_what_is_stored(identity: IdentityFixture) -> None:
    view = await identity.register(
        email="Ada.L@BÜCHER.example", identifier_value="ab 12 34 56 c", phone_number=None
    )
    body = msgspec.json.decode(msgspec.json.encode(view))
    assert body == {
        "id": str(view.id),
        "email": "Ada.L@xn--bcher-kva.example",
        "identifierType": "NIN",
        "identifierValue": "AB123456C",
        "phoneNumber": None,
        "status": "pending_verification",
        "auth_provider": "email",
        "created_at": view.created_at.isoformat().replace("+00:00", "Z"),
        "updated_at": view.updated_at.isoformat().replace("+00:00", "Z"),
        "assurance": "P0",
    }


async def test_i1_the_account_and_its_two_events_commit_together(identity: IdentityFixture) -> None:
    await identity.register()
    assert await identity.events() == [
        "identity.account.registered",
        "identity.verification.requested",
    ]


async def test_the_department_is_asked_in_the_contracts_words(identity: IdentityFixture) -> None:
    view = await identity.register()
    query = "SELECT payload FROM bus.event WHERE type = 'identity.verification.requested'"
    payload = msgspec.json.decode(await identity.database.reads.fetchval(query))
    assert payload == {
        "userId": str(view.id),
        "identifierType": "NIN",
        "identifierValue": "AB123456C",
        "timestamp": view.created_at.isoformat().replace("+00:00", "Z"),
        "correlation_id": "test",
    }


async def test_a_taken_address_is_refused_and_no_one_is_asked(identity: IdentityFixture) -> None:
    await identity.register()
    with pytest.raises(EmailTaken) as refusal:
        await identity.register(email="ADA@Example.COM", identifier_value="AB123457D")
    assert refusal.value.detail == "A user with this email already exists"
    assert await identity.count("identity.account") == 1
    assert await identity.events() == [
        "identity.account.registered",
        "identity.verification.requested",
        "identity.registration.duplicate",
    ]


async def test_a_taken_national_insurance_number_is_refused(identity: IdentityFixture) -> None:
    await identity.register()
    with pytest.raises(IdentifierTaken) as refusal:
        await identity.register(email="eve@example.com", identifier_value="ab 123456 c")
    assert refusal.value.detail == "A user with this NIN already exists"


async def test_a_taken_nhs_number_is_refused(identity: IdentityFixture) -> None:
    nhs = {"identifier_type": IdentifierType.NHS, "identifier_value": "943 476 5919"}
    await identity.register(**nhs)
    with pytest.raises(IdentifierTaken) as refusal:
        await identity.register(email="eve@example.com", **nhs)
    assert refusal.value.detail == "A user with this NHS already exists"


async def test_of_two_taken_things_the_address_is_reported(identity: IdentityFixture) -> None:
    await identity.register()
    with pytest.raises(EmailTaken):
        await identity.register()


async def test_the_refusal_of_a_taken_address_does_not_hold_it(identity: IdentityFixture) -> None:
    await identity.register()
    with pytest.raises(EmailTaken) as refusal:
        await identity.register()
    assert refusal.value.__cause__ is None
    assert refusal.value.__suppress_context__


async def test_twenty_parallel_registrations_of_one_address_open_one_account(
    identity: IdentityFixture,
) -> None:
    results = await asyncio.gather(
        *(identity.register(identifier_value=f"AB1234{n:02}C") for n in range(20)),
        return_exceptions=True,
    )
    assert Counter(type(result).__name__ for result in results) == {"UserView": 1, "EmailTaken": 19}
    assert await identity.count("identity.account") == 1
    assert Counter(await identity.events()) == {
        "identity.account.registered": 1,
        "identity.verification.requested": 1,
        "identity.registration.duplicate": 19,
    }


async def test_twenty_parallel_registrations_of_one_identifier_open_one_account(
    identity: IdentityFixture,
) -> None:
    results = await asyncio.gather(
        *(identity.register(email=f"ada{n}@example.com") for n in range(20)),
        return_exceptions=True,
    )
    assert Counter(type(result).__name__ for result in results) == {
        "UserView": 1,
        "IdentifierTaken": 19,
    }
    assert await identity.count("identity.account") == 1
    assert Counter(await identity.events()) == {
        "identity.account.registered": 1,
        "identity.verification.requested": 1,
        "identity.registration.duplicate": 19,
    }


async def test_what_is_malformed_never_reaches_the_database(identity: IdentityFixture) -> None:
    with pytest.raises(InvalidRequest):
        await identity.register(identifier_value="AB123456Z")
    assert await identity.count("identity.account") == 0

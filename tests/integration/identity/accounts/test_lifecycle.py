"""What a notice of death does."""

import asyncio
from typing import Any
from uuid import UUID

import pytest

from govid.bus.contracts import IdentifierType
from tests.integration.identity.conftest import Parts, a_death, delivered


async def test_r13_the_holder_is_blocked_in_one_commit(identity: Parts) -> None:
    view = await identity.register()
    await identity.login()
    await identity.die()
    row = await identity.account(view.id)
    session = await identity.database.reads.fetchrow("SELECT * FROM identity.session")
    assert (row["status"], row["status_before"]) == ("blocked", "pending_verification")
    assert row["tokens_valid_after"] > session["created_at"]
    assert session["revoked_at"] > row["tokens_valid_after"]
    assert session["revoked_reason"] == "death_notified"
    assert (await identity.events())[3:] == ["identity.account.blocked"]


@pytest.mark.parametrize("status", ["verified", "verification_failed"])
async def test_the_status_before_is_remembered(identity: Parts, status: str) -> None:
    view = await identity.register()
    await identity.set(view.id, status=status)
    await identity.die()
    row = await identity.account(view.id)
    assert (row["status"], row["status_before"]) == ("blocked", status)


async def test_the_identifier_may_be_written_in_another_way(identity: Parts) -> None:
    view = await identity.register()
    await identity.die(identifier_value="ab 12 34 56 c")
    assert (await identity.account(view.id))["status"] == "blocked"


async def test_an_nhs_holder_of_the_prototypes_form_is_found(identity: Parts) -> None:
    nhs = {"identifier_type": IdentifierType.NHS, "identifier_value": "NHS123456789"}
    view = await identity.register(**nhs)
    await identity.die(**nhs)
    assert (await identity.account(view.id))["status"] == "blocked"


async def test_a_second_notice_changes_nothing(identity: Parts) -> None:
    view = await identity.register()
    await identity.die()
    row = await identity.account(view.id)
    await identity.die()
    assert await identity.account(view.id) == row
    assert await identity.count("bus.event") == 3


async def test_a_notice_that_names_the_holder_blocks(identity: Parts) -> None:
    view = await identity.register()
    await identity.die(user_id=view.id)
    assert (await identity.account(view.id))["status"] == "blocked"


@pytest.mark.parametrize(
    "changes",
    [
        {"user_id": UUID(int=7)},
        {"identifier_value": "AB123456D"},
        {"identifier_value": "nonsense"},
        {"identifier_value": ""},
        {"identifier_type": IdentifierType.NHS},
    ],
)
async def test_a_notice_that_does_not_fit_has_no_effect(
    identity: Parts, changes: dict[str, Any]
) -> None:
    view = await identity.register()
    row = await identity.account(view.id)
    await identity.die(**changes)
    assert await identity.account(view.id) == row
    assert await identity.count("bus.event") == 2


async def test_r13_a_notice_whose_transaction_fails_leaves_nothing(identity: Parts) -> None:
    view = await identity.register()
    token = await identity.login()
    delivery = delivered(a_death())
    outcome = await identity.lifecycle.prepare(delivery)
    with pytest.raises(ZeroDivisionError):
        async with identity.uow.begin(delivery.cause("test")) as tx:
            await identity.lifecycle.apply(tx, delivery, outcome)
            raise ZeroDivisionError
    assert (await identity.authenticate(token)).account_id == view.id
    assert await identity.count("bus.event") == 3


async def test_no_session_survives_sign_ins_that_race_with_a_block(identity: Parts) -> None:
    await identity.register()
    await asyncio.gather(
        *(identity.login() for _ in range(8)), identity.die(), return_exceptions=True
    )
    query = "SELECT count(*) FROM identity.session WHERE revoked_at IS NULL"
    assert await identity.database.reads.fetchval(query) == 0

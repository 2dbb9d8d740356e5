"""Notices without an account, and registrations after them."""

import asyncio
from typing import Any

from govid.bus.events import IdentifierType
from govid.identity.life_event_kinds import LifeEventKind
from tests.integration.identity.conftest import IdentityFixture
from tests.integration.identity.life_events.test_event_time import OPS

MARK = ["notice_before_registration"]


async def fetch_marks(identity: IdentityFixture, account_id: Any) -> list[str]:
    found: list[str] = (await identity.account(account_id))["contra_indicators"]
    return found


async def test_a_notice_without_an_account_is_kept_without_the_identifier(
    identity: IdentityFixture,
) -> None:
    await identity.report_death()
    row = dict(await identity.database.reads.fetchrow("SELECT * FROM identity.life_event"))
    assert (row["kind"], row["outcome"], row["account_id"]) == ("death", "unclaimed", None)
    assert len(row["identifier_digest"]) == 32
    assert "AB123456C" not in repr(row)
    query = "SELECT payload FROM bus.event WHERE type LIKE 'identity.%' ORDER BY pos"
    payloads = [row["payload"] for row in await identity.database.reads.fetch(query)]
    assert len(payloads) == 2
    assert "AB123456C" not in "".join(payloads)


async def test_it_is_audited_as_parked(identity: IdentityFixture) -> None:
    await identity.report_death()
    assert await identity.events() == [
        "identity.life_event.received",
        "identity.life_event.parked",
    ]


async def test_who_registers_later_may_sign_in_and_carries_a_mark(
    identity: IdentityFixture,
) -> None:
    await identity.report_death()
    view = await identity.register(identifier_value="ab 12 34 56 c")
    assert view.status == "pending_verification"
    assert (await identity.authenticate(await identity.login())).account_id == view.id
    assert await fetch_marks(identity, view.id) == MARK


async def test_the_mark_is_looked_at_by_a_person(identity: IdentityFixture) -> None:
    await identity.report_death()
    view = await identity.register()
    review = dict(await identity.database.reads.fetchrow("SELECT * FROM identity.review_item"))
    notice = await identity.database.reads.fetchval("SELECT id FROM identity.life_event")
    assert (review["life_event_id"], review["account_id"]) == (notice, view.id)
    assert (review["reason"], review["state"]) == (MARK[0], "open")
    assert (await identity.events())[2:] == [
        "identity.review.opened",
        "identity.account.registered",
        "identity.verification.requested",
    ]


async def test_no_one_else_carries_it(identity: IdentityFixture) -> None:
    await identity.report_death()
    ada = await identity.register(identifier_value="AB123457C")
    eve = await identity.register(
        email="eve@example.com",
        identifier_type=IdentifierType.NHS,
        identifier_value="9434765919",
    )
    assert (await fetch_marks(identity, ada.id), await fetch_marks(identity, eve.id)) == ([], [])


async def test_the_next_holder_of_a_dead_persons_identifier_carries_it_too(
    identity: IdentityFixture,
) -> None:
    view = await identity.register()
    await identity.report_death()
    nothing = {"identifier_type": None, "identifier_value": None}
    await identity.set_columns(view.id, status_before="registered", **nothing)
    eve = await identity.register(email="eve@example.com")
    assert await fetch_marks(identity, eve.id) == MARK


async def test_a_reversal_clears_the_identifier_for_who_comes_next(
    identity: IdentityFixture,
) -> None:
    view = await identity.register()
    await identity.report_death()
    await identity.administration.change_status(
        LifeEventKind.RESTORE, view.id, reason="a mix-up", context=OPS, reverse_death=True
    )
    nothing = {"identifier_type": None, "identifier_value": None}
    await identity.set_columns(view.id, status="registered", **nothing)
    eve = await identity.register(email="eve@example.com")
    assert await fetch_marks(identity, eve.id) == []


async def test_a_block_for_another_reason_is_no_death(identity: IdentityFixture) -> None:
    view = await identity.register()
    await identity.administration.change_status(
        LifeEventKind.BLOCK, view.id, reason="a stolen account", context=OPS
    )
    nothing = {"identifier_type": None, "identifier_value": None}
    await identity.set_columns(view.id, status_before="registered", **nothing)
    eve = await identity.register(email="eve@example.com")
    assert await fetch_marks(identity, eve.id) == []


async def test_a_notice_and_a_registration_at_one_moment_never_miss_each_other(
    identity: IdentityFixture,
) -> None:
    async def meet(number: int) -> bool:
        nino = f"AB{number:06}C"
        view, _ = await asyncio.gather(
            identity.register(email=f"p{number}@example.com", identifier_value=nino),
            identity.report_death(identifier_value=nino),
        )
        row = await identity.account(view.id)
        return row["status"] == "blocked" or row["contra_indicators"] == MARK

    assert [await meet(number) for number in range(10)] == [True] * 10

"""One number is one person: what differs only in its last letter is the same number."""

import asyncio
from typing import Any

import pytest

from govid.bus import PseudonymGenerator
from govid.bus.events import IdentifierType
from govid.identity.errors import AttemptsExhausted, IdentifierTaken
from govid.identity.identifier_digests import IdentifierDigests
from tests.integration.identity.conftest import IdentityFixture, a_death, build_delivery
from tests.integration.identity.life_events.test_event_time import OPS
from tests.integration.identity.verification.test_requests import (
    build_verification_requests,
    failed,
)

KEY = b"k" * 32
OTHER_LETTERS = ["AB123456A", "ab 12 34 56 b", "AB123456D"]
SHARE = "UPDATE identity.account SET is_identifier_shared = true WHERE id = $1"
OLD_NOTICE = """
    INSERT INTO identity.life_event
        (id, kind, identifier_type, identifier_digest, occurred_at, outcome, settled_at)
    VALUES (gen_random_uuid(), 'death', $1, $2, now(), 'unclaimed', now())
"""
OLD_ATTEMPT = """
    INSERT INTO identity.verification_attempt
        (id, identifier_type, identifier_digest, has_facts, reserved_at, outcome, settled_at)
    VALUES (gen_random_uuid(), $1, $2, true, now(), 'mismatch', now())
"""


def old_digest(value: str) -> str:
    """Return the digest that earlier releases made of a National Insurance number."""
    return PseudonymGenerator(KEY).for_value(f"life_event NIN:{value}")


def new_digest() -> str:
    return IdentifierDigests(KEY).for_identifier(IdentifierType.NIN, "AB123456C").current


async def two_holders(identity: IdentityFixture) -> tuple[Any, Any]:
    """Open two accounts that share a number, as earlier releases allowed it."""
    other = await identity.register(email="eve@example.com", identifier_value="AB123456D")
    await identity.database.reads.execute(SHARE, other.id)
    owner = await identity.register()
    return owner.id, other.id


async def status(identity: IdentityFixture, account_id: Any) -> str:
    found: str = (await identity.account(account_id))["status"]
    return found


@pytest.mark.parametrize("value", OTHER_LETTERS)
async def test_b1_a_number_with_another_last_letter_is_taken(
    identity: IdentityFixture, value: str
) -> None:
    view = await identity.register()
    with pytest.raises(IdentifierTaken):
        await identity.register(email="eve@example.com", identifier_value=value)
    assert (await identity.account(view.id))["identifier_value"] == "AB123456C"


async def test_b1_of_registrations_at_one_moment_one_gets_the_number(
    identity: IdentityFixture,
) -> None:
    outcomes = await asyncio.gather(
        *(
            identity.register(email=f"p{n}@example.com", identifier_value=f"AB123456{letter}")
            for n, letter in enumerate("ABCD")
        ),
        return_exceptions=True,
    )
    refused = [isinstance(outcome, IdentifierTaken) for outcome in outcomes]
    assert sorted(refused) == [False, True, True, True]


async def test_b1_what_is_shown_keeps_nine_characters(identity: IdentityFixture) -> None:
    view = await identity.register(identifier_value="ab 12 34 56 d")
    assert view.identifier_value == "AB123456D"
    payload = await identity.database.reads.fetchval(
        "SELECT payload::json->>'identifierValue' FROM bus.event"
        " WHERE type = 'identity.verification.requested'"
    )
    assert payload == "AB123456D"


@pytest.mark.parametrize("value", ["AB123456", "ab 12 34 56", *OTHER_LETTERS])
async def test_b1_a_notice_finds_the_account(identity: IdentityFixture, value: str) -> None:
    view = await identity.register()
    await identity.report_death(identifier_value=value)
    assert await status(identity, view.id) == "blocked"
    assert await identity.history() == [("death", "applied", view.id)]


@pytest.mark.parametrize("value", ["AB123456", *OTHER_LETTERS])
async def test_b1_a_notice_without_an_account_meets_who_registers_later(
    identity: IdentityFixture, value: str
) -> None:
    await identity.report_death(identifier_value=value)
    view = await identity.register()
    row = await identity.account(view.id)
    assert row["contra_indicators"] == ["notice_before_registration"]


@pytest.mark.parametrize("value", ["AB12345", "AB1234567", "BG123456", "QQ123456"])
async def test_b1_a_notice_of_no_number_stays_illegal(
    identity: IdentityFixture, value: str
) -> None:
    await identity.report_death(identifier_value=value)
    assert await identity.history() == [("death", "illegal", None)]


async def test_b1_a_notice_blocks_every_account_that_holds_the_number(
    identity: IdentityFixture,
) -> None:
    owner, other = await two_holders(identity)
    await identity.report_death(identifier_value="AB123456")
    assert [await status(identity, one) for one in (owner, other)] == ["blocked", "blocked"]
    assert await identity.history() == [("death", "applied", owner), ("death", "applied", other)]


@pytest.mark.parametrize("named", [0, 1])
async def test_b1_a_notice_that_names_one_of_several_holders_blocks_all(
    identity: IdentityFixture, named: int
) -> None:
    holders = await two_holders(identity)
    await identity.report_death(user_id=holders[named])
    assert [await status(identity, one) for one in holders] == ["blocked", "blocked"]


async def test_b1_a_notice_about_several_that_is_delivered_again_changes_nothing(
    identity: IdentityFixture,
) -> None:
    owner, other = await two_holders(identity)
    delivery = build_delivery(a_death(identifier_value="AB123456"))
    await identity.deliver(identity.death_notices, delivery)
    events = await identity.events()
    await identity.deliver(identity.death_notices, delivery)
    assert await identity.events() == events
    assert events.count("identity.account.blocked") == 2
    assert await identity.history() == [("death", "applied", owner), ("death", "applied", other)]


@pytest.mark.parametrize("letter", ["A", "B", "C", "D"])
async def test_b1_an_old_notice_is_found_and_gets_the_new_digest(
    identity: IdentityFixture, letter: str
) -> None:
    await identity.database.reads.execute(OLD_NOTICE, "NIN", old_digest(f"AB123456{letter}"))
    view = await identity.register()
    row = await identity.account(view.id)
    assert row["contra_indicators"] == ["notice_before_registration"]
    query = "SELECT identifier_digest FROM identity.life_event"
    assert await identity.database.reads.fetchval(query) == new_digest()


@pytest.mark.parametrize("letters", ["AA", "AB", "CD"])
async def test_b1_attempts_under_old_digests_count(identity: IdentityFixture, letters: str) -> None:
    for letter in letters:
        digest = old_digest(f"AB123456{letter}")
        await identity.database.reads.execute(OLD_ATTEMPT, "NIN", digest)
    view = await identity.register()
    assert (await identity.events())[-1] == "identity.verification.refused"
    query = "SELECT DISTINCT identifier_digest FROM identity.verification_attempt WHERE counts"
    rows = await identity.database.reads.fetch(query)
    assert [row["identifier_digest"] for row in rows] == [new_digest()]
    assert await status(identity, view.id) == "pending_verification"


async def test_b1_two_guesses_are_all_that_two_accounts_of_one_number_have(
    identity: IdentityFixture,
) -> None:
    other = await failed(identity, email="eve@example.com", identifier_value="AB123456D")
    await identity.database.reads.execute(SHARE, other.id)
    await failed(identity)
    with pytest.raises(AttemptsExhausted):
        await build_verification_requests(identity)


@pytest.mark.parametrize("typed", ["AB123456", "ab 12 34 56", "AB123456C", "AB123456A"])
async def test_b1_an_operator_finds_the_account_by_eight_or_nine_characters(
    identity: IdentityFixture, typed: str
) -> None:
    view = await identity.register()
    assert await identity.administration.find_by_identifier(typed, OPS) == [view.id]


async def test_b1_an_operator_sees_every_holder(identity: IdentityFixture) -> None:
    owner, other = await two_holders(identity)
    assert await identity.administration.find_by_identifier("AB123456", OPS) == [owner, other]


async def test_b1_an_nhs_number_counts_whole(identity: IdentityFixture) -> None:
    nhs = {"identifier_type": IdentifierType.NHS}
    await identity.register(identifier_value="NHS123456789", **nhs)
    view = await identity.register(email="eve@example.com", identifier_value="NHS123456788", **nhs)
    assert view.identifier_value == "NHS123456788"

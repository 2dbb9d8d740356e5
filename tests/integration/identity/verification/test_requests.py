"""Repeated verification requests: counted, one at a time, and in one commit."""

import asyncio
from collections import Counter
from datetime import date
from typing import Any
from uuid import UUID

import pytest

from govid.bus import uuid7
from govid.bus.events import EvidenceGathered, IdentifierType, NhsEvidenceGathered
from govid.bus.shared.identifiers import ClaimedFacts
from govid.identity.errors import AttemptsExhausted
from govid.identity.life_event_kinds import LifeEventKind
from govid.identity.repository.claimed_facts import ClaimedFactsCipher, UnreadableFacts
from govid.identity.schemas import UserView, Verify
from tests.integration.identity.conftest import CONTEXT, IdentityFixture
from tests.integration.identity.life_events.test_event_time import OPS
from tests.integration.identity.verification.test_results import NOON, an_answer

ADA = Verify(given_name="Ada", family_name="Lovelace", date_of_birth=date(1990, 12, 10))
STATED_FACTS = ClaimedFacts(
    given_name="Ada", family_name="Lovelace", date_of_birth=date(1990, 12, 10)
)


async def build_verification_requests(identity: IdentityFixture) -> UserView:
    principal = await identity.authenticate(await identity.login())
    return await identity.verification_retry.start(ADA, principal, CONTEXT)


async def failed(identity: IdentityFixture, **changes: Any) -> UserView:
    view = await identity.register(**changes)
    await identity.handle(identity.verification, an_answer(view.id, verified=False))
    return view


def a_finding(account_id: UUID, **changes: Any) -> EvidenceGathered:
    return NhsEvidenceGathered(
        **{
            "request_id": uuid7(),
            "account_id": account_id,
            "identifier_type": IdentifierType.NIN,
            "outcome": "match",
            "method": "a test",
            "strength": 2,
            "validity": 2,
            "timestamp": NOON,
            **changes,
        }
    )


async def test_r16_a_double_click_is_one_question(identity: IdentityFixture) -> None:
    await failed(identity)
    principal = await identity.authenticate(await identity.login())
    results = await asyncio.gather(
        *(identity.verification_retry.start(ADA, principal, CONTEXT) for _ in range(5)),
        return_exceptions=True,
    )
    assert Counter(type(result).__name__ for result in results) == {
        "UserView": 1,
        "VerificationUnderWay": 4,
    }
    assert (await identity.events()).count("identity.verification.requested") == 2


async def test_r16_who_waits_again_and_the_question_are_one_commit(
    identity: IdentityFixture,
) -> None:
    view = await failed(identity)
    answer = await build_verification_requests(identity)
    assert (answer.id, answer.status, answer.assurance) == (view.id, "pending_verification", "P0")
    assert (await identity.account(view.id))["status"] == "pending_verification"
    assert (await identity.claimed_facts.for_account(view.id)) == STATED_FACTS


async def test_r16_the_third_leaves_everything_as_it_was(identity: IdentityFixture) -> None:
    view = await failed(identity)
    await build_verification_requests(identity)
    await identity.handle(identity.verification, an_answer(view.id, verified=False))
    with pytest.raises(AttemptsExhausted):
        await build_verification_requests(identity)
    assert (await identity.account(view.id))["status"] == "verification_failed"
    assert await identity.claimed_facts.for_account(view.id) is None


async def test_r23_evidence_that_comes_twice_counts_once(identity: IdentityFixture) -> None:
    view = await identity.register()
    finding = a_finding(view.id, contra_indicators=("death-reported",))
    await identity.handle(identity.verification, finding)
    await identity.handle(identity.verification, finding)
    assert await identity.count("identity.evidence") == 1
    assert (await identity.account(view.id))["contra_indicators"] == ["death-reported"]


async def test_r23_evidence_about_no_account_is_dropped(identity: IdentityFixture) -> None:
    await identity.handle(identity.verification, a_finding(uuid7()))
    assert await identity.count("identity.evidence") == 0


async def test_an_answer_from_outside_proves_nothing_of_what_was_said(
    identity: IdentityFixture,
) -> None:
    view = await failed(identity)
    await build_verification_requests(identity)
    await identity.handle(identity.verification, an_answer(view.id))
    row = await identity.account(view.id)
    assert (row["status"], row["assurance"]) == ("verified", "P1")
    assert await identity.claimed_facts.for_account(view.id) is None


async def test_an_answer_that_found_no_one_waiting_gives_the_attempt_back(
    identity: IdentityFixture,
) -> None:
    view = await identity.register()
    await identity.report_death()
    await identity.handle(identity.verification, an_answer(view.id, verified=False))
    outcome = "SELECT outcome FROM identity.verification_attempt"
    assert await identity.database.reads.fetchval(outcome) == "without_effect"


async def test_r18_a_block_takes_the_level_and_its_end_gives_it_back(
    identity: IdentityFixture,
) -> None:
    view = await identity.register()
    await identity.handle(identity.verification, a_finding(view.id))
    await identity.handle(identity.verification, an_answer(view.id))
    assert (await identity.account(view.id))["assurance"] == "P2"
    await identity.report_death()
    assert (await identity.account(view.id))["assurance"] == "P0"
    await identity.administration.change_status(
        LifeEventKind.RESTORE, view.id, reason="a test", context=OPS, reverse_death=True
    )
    assert (await identity.account(view.id))["assurance"] == "P2"


def test_facts_are_bound_to_their_account_and_their_key() -> None:
    mine, other = UUID(int=1), UUID(int=2)
    seal = ClaimedFactsCipher(b"k" * 32)
    sealed = seal.encrypt(mine, STATED_FACTS)
    assert seal.decrypt(mine, sealed) == STATED_FACTS
    with pytest.raises(UnreadableFacts):
        seal.decrypt(other, sealed)
    with pytest.raises(UnreadableFacts):
        ClaimedFactsCipher(b"l" * 32).decrypt(mine, sealed)

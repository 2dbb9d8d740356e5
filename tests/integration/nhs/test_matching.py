"""Verification by facts at the NHS: the evidence that is published, and the patient."""

from collections.abc import AsyncIterator
from datetime import date
from uuid import UUID

import pytest
from msgspec import structs

from govid import nhs
from govid.bus import Database, Module, UnitOfWork
from govid.bus.shared.identifiers import ClaimedFacts
from tests.integration.departments import FixedClock, published, serving
from tests.integration.fact_matching import ACCOUNT_ID, StatedFacts, verify_and_fetch
from tests.integration.nhs.conftest import SETTINGS
from tests.integration.verification.conftest import GARTON, SMITH

FREE = structs.replace(SETTINGS, are_limits_lifted=True)
ROBIN = ClaimedFacts(given_name="Robin", family_name="Hidden", date_of_birth=date(1980, 2, 29))
PAUL = ClaimedFacts(given_name="Paul", family_name="Partial", date_of_birth=date(1961, 4, 5))
UNA = ClaimedFacts(given_name="Una", family_name="Unsure", date_of_birth=date(1961, 4, 5))


@pytest.fixture
def stated_facts() -> StatedFacts:
    return StatedFacts(GARTON)


@pytest.fixture
async def module(
    database: Database, uow: UnitOfWork, clock: FixedClock, stated_facts: StatedFacts
) -> AsyncIterator[Module]:
    module = nhs.build(FREE, database, uow, clock, facts=stated_facts)
    yield module
    await module.stops[0]()


async def test_who_is_who_they_say_is_verified_and_becomes_a_patient(
    module: Module, uow: UnitOfWork, database: Database
) -> None:
    assert await verify_and_fetch(module, uow, database, "9693632109") == [(True, None)]
    async with serving(module, ACCOUNT_ID) as client:
        (patient,) = (await client.get("/api/nhs/patients")).json()
    assert (patient["name"], patient["nhsNumber"]) == ("Bill GARTON", "9693632109")


async def test_r17_the_answer_is_preceded_by_what_it_rests_on(
    module: Module, uow: UnitOfWork, database: Database
) -> None:
    await verify_and_fetch(module, uow, database, "9693632109")
    (name, evidence), (last, _) = await published(database)
    assert (name, last) == ("nhs.verification.evidence_gathered", "nhs.verification.completed")
    assert evidence.pop("transaction")
    assert UUID(evidence.pop("request_id"))
    assert evidence == {
        "account_id": str(ACCOUNT_ID),
        "timestamp": "2026-01-05T12:00:00Z",
        "identifier_type": "NHS",
        "outcome": "match",
        "method": "pds.read",
        "strength": 2,
        "validity": 2,
        "contra_indicators": [],
    }


@pytest.mark.parametrize(
    ("number", "claimed", "outcome"),
    [
        ("9732110317", GARTON, "mismatch"),
        ("9000000009", SMITH, "deceased"),
        ("9000000025", GARTON, "restricted"),
        ("9727022820", ROBIN, "restricted"),
        ("9990000026", PAUL, "incomplete"),
        ("9990000034", UNA, "incomplete"),
        ("9111231130", GARTON, "mismatch"),
    ],
)
async def test_e3_every_no_is_the_same_on_the_topic_after_one_call(
    module: Module,
    uow: UnitOfWork,
    database: Database,
    stated_facts: StatedFacts,
    number: str,
    claimed: ClaimedFacts,
    outcome: str,
) -> None:
    stated_facts.facts = claimed
    assert await verify_and_fetch(module, uow, database, number) == [(False, "not_matched")]
    (_, evidence), _ = await published(database)
    assert (evidence["outcome"], evidence["method"]) == (outcome, "pds.read")
    assert (evidence["strength"], evidence["validity"]) == (0, 0)

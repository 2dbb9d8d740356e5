"""The answers of each department about its numbers: by form, and by facts."""

from datetime import date

import pytest

from govid.bus import Database, Module, UnitOfWork
from govid.bus.events import IdentifierType
from govid.bus.shared.identifiers import ClaimedFacts
from tests.integration.departments import a_verification, handle, published
from tests.integration.fact_matching import (
    ACCOUNT_ID,
    IDENTIFIERS,
    build_claim,
    verification_handler,
    verify_and_fetch,
)
from tests.integration.verification.conftest import GARTON, JIM, SMITH
from tests.statements import statements

DORIS = ClaimedFacts(given_name="Doris", family_name="Departed", date_of_birth=date(1931, 2, 3))
UNWRITABLE = ClaimedFacts(given_name="李", family_name="李", date_of_birth=date(1948, 4, 23))
YES = (True, None)
NO = (False, "not_matched")


@pytest.mark.parametrize(
    ("department", "number", "answer"),
    [
        ("nhs", "NHS123456789", YES),
        ("nhs", "9434765919", YES),
        ("nhs", "9111231130", NO),
        ("nhs", "9727194737", NO),
        ("nhs", "9990003343", NO),
        ("nhs", "9000000009", NO),
        ("nhs", "9434765918", NO),
        ("hmrc", "AB123456C", YES),
        ("hmrc", "AA000003D", YES),
        ("hmrc", "ST281614D", NO),
        ("hmrc", "ZX000056A", NO),
        ("hmrc", "QQ123456C", NO),
    ],
    indirect=["department"],
)
async def test_the_answer_follows_the_number(
    module: Module,
    uow: UnitOfWork,
    database: Database,
    number: str,
    answer: tuple[bool, str | None],
) -> None:
    await handle(verification_handler(module), build_claim(module, number), uow)
    is_verified, error = answer
    assert await published(database) == [
        (
            f"{module.name}.verification.completed",
            {
                "userId": str(ACCOUNT_ID),
                "identifierType": IDENTIFIERS[module.name].value,
                "isVerified": is_verified,
                "timestamp": "2026-01-05T12:00:00Z",
                "error": error,
            },
        )
    ]


CONTRACTS = ("pdv", "individuals-2", "individuals-1")


@pytest.mark.parametrize(
    ("department", "changes", "facts", "number", "answers"),
    [
        ("nhs", {}, GARTON, "9732110317", [NO]),
        # The form of the prototype needs no facts.
        ("nhs", {}, GARTON, "NHS123456789", [YES]),
        *[("hmrc", {"contract": name}, JIM, "AA000003D", [YES]) for name in CONTRACTS],
        *[("hmrc", {"contract": name}, JIM, "NA000799C", [NO]) for name in CONTRACTS],
        *[("hmrc", {"contract": name}, JIM, "AB123456C", [NO]) for name in CONTRACTS],
        # That a person has died is revealed to no one.
        ("nhs", {}, SMITH, "9000000009", [NO]),
        ("hmrc", {}, DORIS, "ZX000056A", [NO]),
        # Where HMRC cannot be asked, nothing is decided.
        ("hmrc", {}, UNWRITABLE, "AA000003D", []),
    ],
    indirect=["department"],
)
async def test_facts_decide_by_every_contract_and_every_no_is_the_same(
    module: Module, uow: UnitOfWork, database: Database, number: str, answers: list[object]
) -> None:
    assert await verify_and_fetch(module, uow, database, number) == answers


@pytest.mark.parametrize(
    ("department", "number", "expected"),
    [
        ("nhs", "NHS123456789", []),
        ("nhs", "9693632109", ["INSERT INTO", "INSERT INTO"]),
        ("hmrc", "AB123456C", []),
    ],
    indirect=["department"],
)
async def test_an_answer_takes_as_few_statements_as_it_can(
    module: Module, uow: UnitOfWork, database: Database, number: str, expected: list[str]
) -> None:
    async with statements(database.requests) as sent:
        await handle(verification_handler(module), build_claim(module, number), uow)
    assert sent == ["BEGIN", "COMMIT", *expected, "WITH incoming"]


@pytest.mark.parametrize(
    ("department", "expected"),
    [
        ("nhs", {IdentifierType.NIN: False, IdentifierType.NHS: True}),
        ("hmrc", {IdentifierType.NIN: True, IdentifierType.NHS: False}),
    ],
    indirect=["department"],
)
async def test_only_requests_about_its_own_numbers_are_wanted(
    module: Module, expected: dict[IdentifierType, bool]
) -> None:
    wants = {consumer.name: consumer.predicate for consumer in module.subscribers}
    predicate = wants[f"{module.name}.verification"]
    wanted = {kind: predicate(a_verification(kind, "", ACCOUNT_ID).event) for kind in expected}
    assert wanted == expected

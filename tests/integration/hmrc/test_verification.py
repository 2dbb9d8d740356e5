"""HMRC's answers about National Insurance numbers."""

from uuid import UUID

import pytest

from govid import hmrc
from govid.bus import Database, Module, Outage, UnitOfWork
from govid.bus.events import IdentifierType
from govid.hmrc import HmrcSettings
from tests.integration.departments import (
    FixedClock,
    a_verification,
    find_handler,
    handle,
    published,
)
from tests.statements import statements

NAME = "hmrc.verification"


@pytest.mark.parametrize(
    ("nino", "is_verified", "error"),
    [
        ("AB123456C", True, None),
        ("AA000003D", True, None),
        ("ST281614D", False, "not_matched"),
        ("ZX000056A", False, "not_matched"),
        ("QQ123456C", False, "not_matched"),
    ],
)
async def test_the_answer_follows_the_number(
    module: Module,
    uow: UnitOfWork,
    database: Database,
    account_id: UUID,
    nino: str,
    is_verified: bool,
    error: str | None,
) -> None:
    delivery = a_verification(IdentifierType.NIN, nino, account_id)
    await handle(find_handler(module, NAME), delivery, uow)
    assert await published(database) == [
        (
            "hmrc.verification.completed",
            {
                "userId": str(account_id),
                "identifierType": "NIN",
                "isVerified": is_verified,
                "timestamp": "2026-01-05T12:00:00Z",
                "error": error,
            },
        )
    ]


async def test_an_answer_is_one_statement(
    module: Module, uow: UnitOfWork, database: Database, account_id: UUID
) -> None:
    delivery = a_verification(IdentifierType.NIN, "AB123456C", account_id)
    async with statements(database.requests) as sent:
        await handle(find_handler(module, NAME), delivery, uow)
    assert sent == ["BEGIN", "COMMIT", "WITH incoming"]


async def test_only_requests_about_its_own_numbers_are_wanted(
    module: Module, account_id: UUID
) -> None:
    wants = {consumer.name: consumer.predicate for consumer in module.subscribers}[NAME]
    kinds = (IdentifierType.NIN, IdentifierType.NHS)
    wanted = [wants(a_verification(kind, "", account_id).event) for kind in kinds]
    assert wanted == [True, False]


async def test_without_hmrc_a_verification_waits(
    database: Database, uow: UnitOfWork, clock: FixedClock, account_id: UUID
) -> None:
    settings = HmrcSettings(
        registry="off",
        simulate_death=False,
        simulate_death_delay_seconds=0,
        simulate_death_nino="",
    )
    handler = find_handler(hmrc.build(settings, database, uow, clock), NAME)
    with pytest.raises(Outage) as outage:
        await handler.prepare(a_verification(IdentifierType.NIN, "AB123456C", account_id))
    assert outage.value.dependency == "hmrc"

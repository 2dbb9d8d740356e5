"""The simulated notice of death."""

import pytest
from msgspec import structs

from govid import hmrc
from govid.bus import Database, Module, UnitOfWork
from tests.integration.departments import FixedClock, published
from tests.integration.hmrc.conftest import SETTINGS


async def test_one_notice_is_given_in_the_contracts_shape(
    module: Module, database: Database
) -> None:
    [*_, task] = module.tasks
    await task()
    assert await published(database) == [
        (
            "hmrc.death.notified",
            {
                "identifierType": "NIN",
                "identifierValue": "AB123456C",
                "userId": None,
                "reason": "Simulated notice of death",
                "timestamp": "2026-01-05T12:00:00Z",
            },
        )
    ]


async def test_the_identifier_is_in_no_key(module: Module, database: Database) -> None:
    [*_, task] = module.tasks
    await task()
    row = await database.reads.fetchrow("SELECT key, record_key FROM bus.event")
    assert "AB123456C" not in row["key"]
    assert row["record_key"] is None


async def test_no_one_dies_unless_it_is_asked_for(
    database: Database, uow: UnitOfWork, clock: FixedClock
) -> None:
    settings = structs.replace(SETTINGS, simulate_death=False)
    simulating = hmrc.build(SETTINGS, database, uow, clock)
    assert len(hmrc.build(settings, database, uow, clock).tasks) == len(simulating.tasks) - 1


async def test_a_malformed_number_stops_the_start(
    database: Database, uow: UnitOfWork, clock: FixedClock
) -> None:
    settings = structs.replace(SETTINGS, simulate_death_nino="QQ123456C")
    with pytest.raises(ValueError, match="National Insurance number"):
        hmrc.build(settings, database, uow, clock)

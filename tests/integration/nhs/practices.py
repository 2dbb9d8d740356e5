"""Practices of a simulated NHS on a port, which the module knows from its settings only."""

from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest

from govid import nhs
from govid.bus import Database, Module, UnitOfWork
from govid.nhs import (
    SIMULATED_ENDPOINT,
    SIMULATED_ODS,
    SIMULATED_PRACTICES,
    NhsSettings,
    NhsSimulator,
)
from tests.departments.loopback import served
from tests.integration.departments import NOW, FixedClock

NUMBER = "9434765919"


@pytest.fixture
def simulator(clock: FixedClock) -> NhsSimulator:
    return NhsSimulator(clock=clock, is_limited=False)


@pytest.fixture
async def module(
    simulator: NhsSimulator, database: Database, uow: UnitOfWork, clock: FixedClock
) -> AsyncIterator[Module]:
    """Yield the module as it is where an NHS on a port is asked, by settings alone."""
    async with served(simulator.application) as url:
        settings = NhsSettings(
            registry="remote",
            accept_prototype_nhs=False,
            base_url=url,
            client_id=simulator.client_id,
            kid=simulator.kid,
            private_key=simulator.key.pem,
            ods_code=SIMULATED_ODS,
            endpoint=SIMULATED_ENDPOINT,
            practices=SIMULATED_PRACTICES,
        )
        module = nhs.build(settings, database, uow, clock)
        yield module
        await module.stops[0]()


async def register_patient(database: Database, account_id: UUID, number: str = NUMBER) -> UUID:
    """Let the NHS have said that *number* is the account's; return the account."""
    await database.reads.execute(
        """INSERT INTO nhs.patient
               (id, account_id, name, nhs_number, source, created_at, updated_at)
           VALUES ($1, $2, 'Nora Newcomer', $3, 'registry', $4, $4)""",
        uuid4(),
        account_id,
        number,
        NOW,
    )
    return account_id

"""Practices of an NHS on a port, asked by the module as its settings alone tell it."""

from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest

from govid import nhs
from govid.bus import Database, Module, UnitOfWork
from govid.nhs import ENDPOINT, ODS, SIMULATED, NhsSettings, NhsSimulator
from tests.departments.loopback import served
from tests.integration.departments import NOW, StandingClock

NUMBER = "9434765919"


@pytest.fixture
def simulator(clock: StandingClock) -> NhsSimulator:
    return NhsSimulator(clock=clock, is_limited=False)


@pytest.fixture
async def module(
    simulator: NhsSimulator, database: Database, uow: UnitOfWork, clock: StandingClock
) -> AsyncIterator[Module]:
    """Yield the module as it is where an NHS on a port is asked, by settings alone."""
    async with served(simulator.application) as url:
        settings = NhsSettings(
            registry="remote",
            accept_prototype_form=False,
            base_url=url,
            client_id=simulator.client_id,
            kid=simulator.kid,
            private_key=simulator.key.pem,
            ods=ODS,
            endpoint=ENDPOINT,
            practices=SIMULATED,
        )
        module = nhs.build(settings, database, uow, clock)
        yield module
        await module.stops[0]()


async def known(database: Database, account_id: UUID, number: str = NUMBER) -> UUID:
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

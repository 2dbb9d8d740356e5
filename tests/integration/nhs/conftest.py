"""The NHS on the test's own database."""

from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import httpx
import pytest

from govid import nhs
from govid.bus import Database, Module, UnitOfWork
from govid.nhs import NhsSettings
from tests.integration.departments import StandingClock, serving, unit_of_work

SETTINGS = NhsSettings(registry="simulator", accept_prototype_form=True)


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock()


@pytest.fixture
def uow(database: Database, clock: StandingClock) -> UnitOfWork:
    return unit_of_work(database, clock)


@pytest.fixture
def module(database: Database, uow: UnitOfWork, clock: StandingClock) -> Module:
    return nhs.build(SETTINGS, database, uow, clock)


@pytest.fixture
def account_id() -> UUID:
    return uuid4()


@pytest.fixture
async def client(module: Module, account_id: UUID) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(module, account_id) as signed_in:
        yield signed_in

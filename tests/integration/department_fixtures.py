"""Fixtures of both departments. What differs, each has in its own `conftest.py`: its `module`."""

from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import httpx
import pytest

from govid.bus import Database, Module, UnitOfWork
from tests.integration.departments import FixedClock, serving, unit_of_work


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def uow(database: Database, clock: FixedClock) -> UnitOfWork:
    return unit_of_work(database, clock)


@pytest.fixture
def account_id() -> UUID:
    return uuid4()


@pytest.fixture
async def client(module: Module, account_id: UUID) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(module, account_id) as signed_in:
        yield signed_in

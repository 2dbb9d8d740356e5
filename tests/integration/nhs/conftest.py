"""The NHS on the test's own database."""

import pytest

from govid import nhs
from govid.bus import Database, Module, UnitOfWork
from govid.nhs import NhsSettings
from tests.integration.department_fixtures import account_id, client, clock, uow
from tests.integration.departments import FixedClock

__all__ = ["account_id", "client", "clock", "uow"]

SETTINGS = NhsSettings(registry="simulator", accept_prototype_nhs=True)


@pytest.fixture
def module(database: Database, uow: UnitOfWork, clock: FixedClock) -> Module:
    return nhs.build(SETTINGS, database, uow, clock)

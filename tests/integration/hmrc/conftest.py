"""HMRC on the test's own database."""

import pytest

from govid import hmrc
from govid.bus import Database, Module, UnitOfWork
from govid.hmrc import HmrcSettings
from tests.integration.department_fixtures import account_id, client, clock, uow
from tests.integration.departments import FixedClock

__all__ = ["account_id", "client", "clock", "uow"]

SETTINGS = HmrcSettings(
    registry="simulator",
    simulate_death=True,
    simulate_death_delay_seconds=0,
    simulate_death_nino="ab 12 34 56 c",
)


@pytest.fixture
def module(database: Database, uow: UnitOfWork, clock: FixedClock) -> Module:
    return hmrc.build(SETTINGS, database, uow, clock)

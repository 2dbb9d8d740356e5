"""A replica of the bus on the test's own database."""

import pytest

from govid.bus import BusSettings, Database
from tests.integration.bus.harness import BusFixture, LedgerHandler, create_ledger


@pytest.fixture
async def replica(bus_settings: BusSettings, database: Database) -> BusFixture:
    """Return a replica with a handler that a test controls."""
    await create_ledger(bus_settings.database_url)
    return BusFixture(bus_settings, database, LedgerHandler())

"""A replica of the bus on the test's own database."""

import pytest

from govid.bus import BusSettings, Database
from tests.integration.bus.harness import House, Ledger, create_ledger


@pytest.fixture
async def replica(bus_settings: BusSettings, database: Database) -> House:
    """Return a replica whose handler does as it is told."""
    await create_ledger(bus_settings.database_url)
    return House(bus_settings, database, Ledger())

"""The server may die at any moment: each 201 leads to a verification, each event to Kafka."""

from pathlib import Path

import pytest

from tests.backends.govid import FLOOR_OF_HASHES, Govid
from tests.backends.kafka import Broker
from tests.faults import kill

REGISTRATIONS = 60

pytestmark = [pytest.mark.kafka, pytest.mark.database, pytest.mark.slow, pytest.mark.timeout(180)]


async def test_a_killed_server_loses_no_one_and_says_nothing_twice(
    cluster_database: str, broker: Broker, tmp_path: Path
) -> None:
    govid = Govid(
        tmp_path, database_url=cluster_database, kafka=broker.address, extra=FLOOR_OF_HASHES
    )
    try:
        outcome = await kill.run(
            govid, cluster_database, broker.address, registrations=REGISTRATIONS, kills=2, seed=7
        )
    finally:
        govid.stop()
    figures = kill.figures(outcome, REGISTRATIONS)
    assert figures["accounts"] == {"verified": REGISTRATIONS}
    assert (figures["deliveries_pending"], figures["parked"], figures["dead"]) == (0, 0, 0)
    assert figures["admitted_without_both_events"] == 0
    assert figures["well"] is True

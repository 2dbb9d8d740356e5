"""Kafka may be unavailable: clients notice nothing, and it gets every event later, in order."""

from pathlib import Path

import pytest

from tests.backends.govid import FLOOR_OF_HASHES, Govid
from tests.backends.kafka import Broker
from tests.faults import outage

REGISTRATIONS = 60

pytestmark = [pytest.mark.kafka, pytest.mark.database, pytest.mark.slow, pytest.mark.timeout(180)]


async def test_people_register_and_are_verified_while_kafka_is_away_and_it_gets_everything_later(
    cluster_database: str, broker: Broker, tmp_path: Path
) -> None:
    govid = Govid(
        tmp_path, database_url=cluster_database, kafka=broker.address, extra=FLOOR_OF_HASHES
    )
    try:
        outcome_seen = await outage.run(
            govid, cluster_database, broker, registrations=REGISTRATIONS
        )
    finally:
        govid.stop()
    figures = outage.figures(outcome_seen)
    assert figures["accounts_without_kafka"] == {"verified": 20 + 2 * REGISTRATIONS}
    assert figures["health_without_kafka"] == {"http": 200, "status": "degraded"}
    # Two events of each registration, and of each appointment.
    assert figures["undelivered_when_kafka_came"] >= 2 * REGISTRATIONS + 2 * 3 * outage.PATIENTS
    assert figures["left_afterwards"] == (0, 0, 0)
    assert figures["every_event_arrived_once_and_in_order"] is True
    # Generous, because other tests run beside this one: the measured figure is near 1.
    assert figures["speed_ratio"] > 0.5

"""Kafka is unavailable while people register and book; then it starts.

    python -m tests.faults.outage --registrations 200

prints how fast people were served with and without Kafka, and what Kafka got in the end; exits
with 1 unless all is well.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple
from uuid import UUID

import httpx

from tests.backends import cluster, kafka
from tests.backends.govid import FLOOR_OF_HASHES, Govid
from tests.faults import evidence
from tests.faults.registrants import Applicant, RegistrationLoad, build_applicants, sign_in

SETTLE_SECONDS = 90
PATIENTS = 10
"""How many of the verified also ask for three appointments: several events of one key."""

REQUESTS = "nhs.appointment.request"
RESULTS = "nhs.appointment.result"
TOPICS = (evidence.REQUEST, evidence.RESULT, REQUESTS, RESULTS)


class Pace(NamedTuple):
    """How fast a crowd was served."""

    per_second: float
    median_ms: float


class Outcome(NamedTuple):
    """What happened with Kafka, without it, and after it came."""

    with_kafka: Pace
    without_kafka: Pace
    health: Mapping[str, Any]
    undelivered: int
    during: evidence.AccountTotals
    afterwards: evidence.AccountTotals
    catch_up_seconds: float
    stored: dict[str, dict[str, list[UUID]]]
    published: dict[str, list[evidence.Record]]


async def run(
    govid: Govid, database_url: str, broker: kafka.Broker, *, registrations: int
) -> Outcome:
    """Register with Kafka, and as many again without it; then let it come back."""
    govid.migrate()
    await asyncio.to_thread(govid.start)
    await _paced(govid.url, build_applicants(20, group="warm"))
    with_kafka = await _paced(
        govid.url, build_applicants(registrations, group="before", start=1_000)
    )
    await evidence.wait_until_settled(database_url, SETTLE_SECONDS)
    broker.kill()

    people = build_applicants(registrations, group="during", start=2_000)
    without_kafka = await _paced(govid.url, people)
    during = await evidence.wait_until_verified(database_url, SETTLE_SECONDS)
    await _book(govid.url, [one for one in people if one.identifier_type == "NHS"][:PATIENTS])
    async with httpx.AsyncClient(base_url=govid.url) as client:
        health = await client.get("/health")
    undelivered = (await evidence.read_totals(database_url)).pending

    broker.start()
    began = time.monotonic()
    kafka.wait_until_ready(broker.address)
    afterwards = await evidence.wait_until_settled(database_url, SETTLE_SECONDS)
    return Outcome(
        with_kafka,
        without_kafka,
        {"http": health.status_code, **health.json()},
        undelivered,
        during,
        afterwards,
        time.monotonic() - began,
        {topic: await evidence.stored(database_url, topic) for topic in TOPICS},
        {topic: evidence.published(broker.address, topic) for topic in TOPICS},
    )


def figures(outcome: Outcome) -> dict[str, Any]:
    """Return the outcome as numbers, and whether the events are what they must be."""
    arrived = {
        topic: evidence.first_arrivals(records) for topic, records in outcome.published.items()
    }
    return {
        "with_kafka": outcome.with_kafka._asdict(),
        "without_kafka": outcome.without_kafka._asdict(),
        "speed_ratio": round(outcome.without_kafka.per_second / outcome.with_kafka.per_second, 2),
        "health_without_kafka": {name: outcome.health[name] for name in ("http", "status")},
        "accounts_without_kafka": dict(outcome.during.accounts),
        "undelivered_when_kafka_came": outcome.undelivered,
        "left_afterwards": outcome.afterwards[1:],
        "caught_up_after_seconds": round(outcome.catch_up_seconds, 1),
        "events": {topic: sum(map(len, keys.values())) for topic, keys in outcome.stored.items()},
        "records": {topic: len(records) for topic, records in outcome.published.items()},
        "every_event_arrived_once_and_in_order": arrived == outcome.stored,
    }


async def _paced(url: str, people: Sequence[Applicant]) -> Pace:
    crowd = RegistrationLoad(url, people)
    began = time.monotonic()
    await crowd.register()
    seconds = time.monotonic() - began
    return Pace(round(len(people) / seconds, 1), round(median(crowd.seconds) * 1e3, 1))


async def _book(url: str, patients: Sequence[Applicant]) -> None:
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        for patient in patients:
            headers = await sign_in(client, patient.email)
            for hour in (9, 10, 11):
                appointment_request = {
                    "patient_identifier": patient.identifier_value,
                    "requested_datetime": f"2099-03-02T{hour:02}:00:00Z",
                    "doctor_specialty": "General practice",
                }
                answer = await client.post(
                    "/api/nhs/appointments", json=appointment_request, headers=headers
                )
                answer.raise_for_status()


def main() -> None:
    """Run it on backends of its own."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--registrations", type=int, default=200)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="govid-faults-") as folder,
        cluster.server() as server,
        kafka.own() as broker,
    ):
        database_url = cluster.create(server, "faults")
        govid = Govid(
            Path(folder), database_url=database_url, kafka=broker.address, extra=FLOOR_OF_HASHES
        )
        try:
            outcome = asyncio.run(run(govid, database_url, broker, **vars(options)))
        finally:
            govid.stop()
    result = figures(outcome)
    sys.stdout.write(json.dumps(result, indent=2) + "\n")
    sys.exit(not result["every_event_arrived_once_and_in_order"])


if __name__ == "__main__":
    main()

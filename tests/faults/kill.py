"""`kill -9` of the server at any moment, again and again, while people register.

    python -m tests.faults.kill --registrations 500 --kills 10 --seed 1

prints the outcome of every account and of every event, and exits with 1 unless all is well.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from tests.backends import cluster, kafka
from tests.backends.govid import FLOOR_OF_HASHES, Govid
from tests.faults import evidence
from tests.faults.registrants import RegistrationLoad, build_applicants, moments

SETTLE_SECONDS = 120


class Outcome(NamedTuple):
    """What is left after the last restart."""

    admitted: dict[str, UUID]
    unanswered: set[str]
    kills: int
    books: evidence.AccountTotals
    settle_seconds: float
    stored: dict[str, dict[str, list[UUID]]]
    published: dict[str, list[evidence.Record]]


async def run(
    govid: Govid, database_url: str, address: str, *, registrations: int, kills: int, seed: int
) -> Outcome:
    """Register, kill, restart, wait; *govid* is described and not yet started."""
    govid.migrate()
    await asyncio.to_thread(govid.start)
    crowd = RegistrationLoad(govid.url, build_applicants(registrations))
    async with asyncio.TaskGroup() as group:
        everybody = group.create_task(crowd.register())
        killed = 0
        for accounts, more_seconds in moments(registrations, kills, seed):
            await crowd.wait_for(accounts)
            await asyncio.sleep(more_seconds)
            govid.kill()
            killed += 1
            await asyncio.to_thread(govid.start)
        await everybody
    began = time.monotonic()
    books = await evidence.wait_until_settled(database_url, SETTLE_SECONDS)
    seconds = time.monotonic() - began
    topics = (evidence.REQUEST, evidence.RESULT)
    return Outcome(
        crowd.admitted,
        crowd.unanswered,
        killed,
        books,
        seconds,
        {topic: await evidence.stored(database_url, topic) for topic in topics},
        {topic: evidence.published(address, topic) for topic in topics},
    )


def figures(outcome: Outcome, registrations: int) -> dict[str, object]:
    """Return the outcome as numbers, and whether they are what they must be."""
    accounts = {str(account) for account in outcome.admitted.values()}
    arrived = {
        topic: evidence.first_arrivals(records) for topic, records in outcome.published.items()
    }
    numbers: dict[str, object] = {
        "registrations": registrations,
        "kills": outcome.kills,
        "answered_201": len(outcome.admitted),
        "committed_unanswered": len(outcome.unanswered),
        "accounts": dict(outcome.books.accounts),
        "deliveries_pending": outcome.books.pending,
        "parked": outcome.books.parked,
        "dead": outcome.books.dead,
        "settled_after_seconds": round(outcome.settle_seconds, 1),
        "records": {topic: len(records) for topic, records in outcome.published.items()},
        "sent_again_under_the_same_id": {
            topic: len(records) - len({record.event_id for record in records})
            for topic, records in outcome.published.items()
        },
        "admitted_without_both_events": len(
            accounts - (set.intersection(*map(set, arrived.values())))
        ),
    }
    is_well = (
        numbers["accounts"] == {"verified": registrations}
        and outcome.books[1:] == (0, 0, 0)
        and arrived == outcome.stored
        and all(len(ids) == 1 for by_account in arrived.values() for ids in by_account.values())
        and numbers["admitted_without_both_events"] == 0
    )
    return {**numbers, "well": is_well}


def main() -> None:
    """Run the long form on backends of its own."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--registrations", type=int, default=500)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
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
            outcome = asyncio.run(run(govid, database_url, broker.address, **vars(options)))
        finally:
            govid.stop()
    result = figures(outcome, options.registrations)
    sys.stdout.write(json.dumps(result, indent=2) + "\n")
    sys.exit(not result["well"])


if __name__ == "__main__":
    main()

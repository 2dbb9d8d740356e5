"""Requirement 3 for the inbox: of duplicates the first counts, and keeps its position."""

from hashlib import sha256
from uuid import uuid4

from govid.bus import Database
from govid.bus.kafka.inbox import QUERIES

IDS = 7
TIMES = 6


async def test_r3_of_an_id_that_comes_again_in_one_batch_the_first_is_taken(
    database: Database,
) -> None:
    # As an outsider sends it whose first answer was lost: all of it again, and again.
    hashes = [sha256(f"{n}".encode()).digest() for n in range(IDS)] * TIMES
    events = [uuid4() for _ in hashes]
    taken = await database.bus_reads.fetch(
        QUERIES["insert_identities"],
        hashes,
        ["somebody"] * len(hashes),
        ["an id"] * len(hashes),
        events,
        hashes,
    )
    assert {row["event_id"] for row in taken} == set(events[:IDS])

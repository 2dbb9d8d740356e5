"""The people of every demonstration."""

from typing import Any

from govid.bus import BusSettings
from govid.gateway.dev.people import STANDARD_PEOPLE, generate_people
from govid.gateway.dev.seed import seed_people

HASH = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$AAAA"


async def test_everyone_is_added_once(bus_settings: BusSettings, connection: Any) -> None:
    assert [new async for new in seed_people(bus_settings, STANDARD_PEOPLE, HASH)] == [
        len(STANDARD_PEOPLE)
    ]
    assert [new async for new in seed_people(bus_settings, STANDARD_PEOPLE, HASH)] == [0]
    rows = await connection.fetch("SELECT email, status FROM identity.account ORDER BY email")
    assert [tuple(row) for row in rows] == sorted(
        (who.email, who.status) for who in STANDARD_PEOPLE
    )


async def test_they_have_records_and_a_history(bus_settings: BusSettings, connection: Any) -> None:
    assert [new async for new in seed_people(bus_settings, STANDARD_PEOPLE, HASH)] == [
        len(STANDARD_PEOPLE)
    ]
    count = """
        SELECT (SELECT count(*) FROM nhs.patient), (SELECT count(*) FROM nhs.appointment),
               (SELECT count(*) FROM hmrc.tax_record),
               (SELECT count(*) FROM bus.event WHERE type = 'identity.account.registered'),
               (SELECT array_agg(DISTINCT subscriber) FROM bus.delivery)
    """
    assert tuple(await connection.fetchrow(count)) == (1, 2, 2, 6, ["nhs.appointments"])


async def test_a_crowd_comes_in_batches(bus_settings: BusSettings, connection: Any) -> None:
    assert [new async for new in seed_people(bus_settings, generate_people(250, 1), HASH)] == [
        100,
        100,
        50,
    ]
    assert await connection.fetchval("SELECT count(*) FROM nhs.patient") == 250

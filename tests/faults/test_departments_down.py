"""Departments may be unavailable: people register, and are verified once they are back."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.backends.govid import FLOOR_OF_HASHES, Govid
from tests.backends.simulators import Simulators
from tests.faults import departments_down
from tests.faults.registrants_with_facts import (
    PacedRegistrations,
    add_to_departments,
    build_claimants,
)

STATUSES = "SELECT identifier_type, status FROM identity.account"
DEADLINE_SECONDS = 60

pytestmark = [pytest.mark.database, pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def simulators(tmp_path: Path) -> Iterator[Simulators]:
    with Simulators(tmp_path, limits=False) as running:
        yield running


async def statuses(connection: Any) -> Counter[tuple[str, str]]:
    return Counter(tuple(row) for row in await connection.fetch(STATUSES))


async def test_people_register_while_departments_are_away_and_all_are_verified_later(
    cluster_database: str, simulators: Simulators, tmp_path: Path
) -> None:
    pace = departments_down.Pace(seconds=6, per_second=5)
    figures = await departments_down.run(tmp_path, cluster_database, simulators, pace)
    assert figures["registrations"] == 30
    assert figures["waiting_when_they_came_back"] == 30
    # Not how long it took: other tests run beside this one.
    assert departments_down.is_as_promised(figures, limits=True) == dict.fromkeys(
        departments_down.is_as_promised(figures, limits=True), True
    )


async def test_a_department_that_hangs_keeps_no_one_from_the_other(
    cluster_database: str, simulators: Simulators, tmp_path: Path
) -> None:
    extra = {**FLOOR_OF_HASHES, **simulators.settings()}
    govid = Govid(
        tmp_path, database_url=cluster_database, kafka=departments_down.NO_KAFKA, extra=extra
    )
    people = build_claimants(20, start=0)
    await add_to_departments(simulators.url, people)
    await simulators.fail("nhs", "timeout")
    govid.migrate()
    connection = await asyncpg.connect(cluster_database)
    with govid:
        await PacedRegistrations(govid.url, per_second=10).register(people)
        async with asyncio.timeout(DEADLINE_SECONDS):
            while (found := await statuses(connection))["NIN", "verified"] < 10:
                await asyncio.sleep(0.05)
    await connection.close()
    assert found == {("NIN", "verified"): 10, ("NHS", "pending_verification"): 10}

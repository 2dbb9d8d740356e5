"""Requirement 13: what is written for each event is inserted and deleted, and never changed."""

import re
from pathlib import Path
from typing import Any

import pytest

import govid
from govid.bus import BusSettings, Database, Delivery
from tests.integration.bus.harness import (
    NAME,
    BusFixture,
    LedgerHandler,
    an_account,
    create_ledger,
    wait_until,
)

HOT = ("event", "delivery", "receipt")
REFUSE_UPDATES = """
    CREATE FUNCTION refuse_update() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'updated' USING ERRCODE = 'restrict_violation'; END $$;
    CREATE TRIGGER never_updated BEFORE UPDATE ON bus.delivery
    FOR EACH ROW EXECUTE FUNCTION refuse_update();
    CREATE TRIGGER never_updated BEFORE UPDATE ON bus.receipt
    FOR EACH ROW EXECUTE FUNCTION refuse_update();
"""


class Once(LedgerHandler):
    """Fails at the first event, once."""

    def __init__(self) -> None:
        super().__init__()
        self._errors = iter([ZeroDivisionError()])

    async def apply(self, tx: Any, delivery: Delivery[Any], outcome: None) -> None:
        await super().apply(tx, delivery, outcome)
        for error in self._errors:
            raise error


async def test_r13_an_event_goes_its_way_without_an_update(
    bus_settings: BusSettings, database: Database
) -> None:
    await create_ledger(bus_settings.database_url)
    await database.reads.execute(REFUSE_UPDATES)
    replica = BusFixture(bus_settings, database, Once())
    async with replica.run():
        await replica.emit(an_account(), "a", "b")
        await wait_until(lambda: nothing_pending(replica))
    assert await replica.labels() == ["a", "b"]
    assert replica.metric_value("deliveries_total", subscriber=NAME, outcome="error") == 1


async def nothing_pending(replica: BusFixture) -> bool:
    return await replica.count_pending() == 0


@pytest.mark.parametrize("table", HOT)
def test_r13_no_statement_updates_it(table: str) -> None:
    sources = [*_sources("*.sql"), *_sources("*.py")]
    update = re.compile(rf"\bUPDATE\s+(ONLY\s+)?bus\.{table}\b")
    conflict = re.compile(
        rf"INSERT\s+INTO\s+bus\.{table}\b(?:(?!INSERT\s|--).)*?DO\s+UPDATE", re.DOTALL
    )
    assert [path.name for path in sources if update.search(path.read_text())] == []
    assert [path.name for path in sources if conflict.search(path.read_text())] == []


def _sources(pattern: str) -> list[Path]:
    return sorted(Path(govid.__file__).parent.rglob(pattern))

"""F12: a failing handler can be diagnosed by its log line, which holds no message."""

import logging

import pytest

from tests.integration.bus.harness import BusFixture, an_account, wait_until

RAISES = """
    CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'AB123456C' USING ERRCODE = '{}', CONSTRAINT = '{}'; END $$;
    CREATE TRIGGER fail BEFORE INSERT ON ledger FOR EACH ROW EXECUTE FUNCTION fail();
"""


@pytest.mark.parametrize(
    ("state", "constraint"), [("P0001", "a_rule"), ("23514", "positive"), ("22003", "in_range")]
)
async def test_f12_log_line_of_a_trigger_that_raises(
    replica: BusFixture, caplog: pytest.LogCaptureFixture, state: str, constraint: str
) -> None:
    async with replica.database.reads.acquire() as connection:
        await connection.execute(RAISES.format(state, constraint))
    await replica.emit(an_account(), "x")

    async def is_parked() -> bool:
        return await replica.count("parked") == 1

    with caplog.at_level(logging.WARNING):
        async with replica.run():
            await wait_until(is_parked)
    line = next(one.__dict__ for one in caplog.records if one.message == "delivery.failed")
    assert (line["sqlstate"], line["constraint"]) == (state, constraint)
    assert "harness.py" in line["frames"]
    assert "AB123456C" not in str({name: line[name] for name in ("frames", "error_class")})
    stored = await replica.database.reads.fetchval("SELECT error_class FROM bus.parked")
    assert stored.endswith(f"(SQLSTATE {state})")

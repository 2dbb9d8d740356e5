"""An inbox without progress is noticed: by its lag, by health and by what operators see."""

import pytest

from govid.bus.events import Topic
from govid.bus.kafka.inbound_faults import InboundFaults
from tests.kafka.fixtures import KafkaFixture, wait_until
from tests.kafka.test_inbox import NOTICE, RESULT, encoded

pytestmark = pytest.mark.kafka

REFUSE = """
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{}'; END $$;
    CREATE TRIGGER refuse BEFORE INSERT ON bus.{} FOR EACH ROW EXECUTE FUNCTION refuse()
"""
PERMIT = "DROP TRIGGER refuse ON bus.{}"
CAUSES = {
    "P0001": (REFUSE.format("P0001", "event"), PERMIT.format("event"), "RaiseError"),
    "42501": (
        REFUSE.format("42501", "inbox"),
        PERMIT.format("inbox"),
        "InsufficientPrivilegeError",
    ),
    "42P01": (
        "ALTER TABLE bus.inbox RENAME TO elsewhere",
        "ALTER TABLE bus.elsewhere RENAME TO inbox",
        "UndefinedTableError",
    ),
}
"""For each SQLSTATE that does not pass by itself: what causes it, what ends it, the error."""


@pytest.mark.parametrize("sqlstate", CAUSES)
@pytest.mark.parametrize(
    ("topic", "body"), [(Topic.DEATH_NOTIFICATION, NOTICE), (Topic.VERIFICATION_RESULT, RESULT)]
)
async def test_a3_a_position_that_cannot_be_stored_is_noticed_until_it_can(
    replica: KafkaFixture, topic: Topic, body: dict[str, object], sqlstate: str
) -> None:
    begin, end, error = CAUSES[sqlstate]
    inbox, place = replica.kafka.inbox, (topic.value, 1)

    async def is_behind(records: int) -> bool:
        return inbox.lag.get(place) == records

    async def is_in(state: str, stopped: dict[tuple[str, int], int]) -> bool:
        return (inbox.health_state(), inbox.failing_partitions) == (state, stopped)

    await replica.wait_until_healthy()
    await wait_until(lambda: is_in("ok", {}))
    await replica.database.reads.execute(begin)
    async with replica.external_producer() as external_producer:
        for number in range(3):
            value = encoded({**body, "number": number})
            await external_producer.send_and_wait(replica.wire_name(topic), value, partition=1)
    # The second failure at one position is reported, the fourth stops the partition.
    await wait_until(lambda: is_in("failing", {place: 0}))
    await wait_until(lambda: is_in("stopped", {place: 1}))
    # Nothing was read past it, and the lag is still reported: from the end of the partition.
    await wait_until(lambda: is_behind(3))
    await wait_until(lambda: replica.holds("inbound_fault", 1))
    (fault,) = await InboundFaults(replica.database.bus_reads).fetch_all()
    assert (fault.location, fault.kind) == (f"{replica.wire_name(topic)}/1/0", "failing")
    assert fault.reason.startswith(f"asyncpg.exceptions.{error}")

    await replica.database.reads.execute(end)
    await wait_until(lambda: replica.holds("event", 3))
    await wait_until(lambda: is_in("ok", {}))
    await wait_until(lambda: is_behind(0))
    assert await replica.count("inbound_fault") == 0

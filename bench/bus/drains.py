"""How fast a backlog leaves for Kafka, acknowledged by all replicas, beside aiokafka alone."""

import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from bench.bus import kafka_baseline
from bench.bus.bus_under_test import BenchBackends, BusUnderTest, bench_backends, run
from bench.bus.ledger import Ledger, fetch, settled
from govid.bus.events import Topic
from tests.backends import cluster, kafka_jars
from tests.backends.kafka import Unavailable
from tests.backends.kafka_secured import SecuredBroker, secured

EVENTS_PER_SECOND = 10_000
"""How many events stand for one second of a round."""
ACCOUNTS = 1_000
PACE = """
    SELECT extract(epoch FROM max(handled_at) - min(handled_at))::float8
    FROM (SELECT handled_at FROM bus.receipt ORDER BY handled_at OFFSET $1) AS later
"""


def measure(*, rounds: int, seconds: int) -> dict[str, Any]:
    """Drain, and send the same records without govid, in turn; return the medians."""
    events = EVENTS_PER_SECOND * seconds
    ours, sends, batches = [], [], []
    with bench_backends(needs_kafka=True) as servers:
        # Once in vain: a broker that has just started is slow.
        _drain(servers, EVENTS_PER_SECOND)
        for _ in range(rounds):
            rate, topic = _drain(servers, events)
            ours.append(rate)
            records = kafka_baseline.records(servers.kafka, topic)
            sends.append(run(kafka_baseline.send(servers.kafka, f"{topic}.sent", records)))
            batches.append(
                run(kafka_baseline.send_batches(servers.kafka, f"{topic}.batched", records))
            )
    return {
        "events_per_second": round(median(ours), 1),
        "aiokafka_per_second": round(median(sends), 1),
        "aiokafka_batches_per_second": round(median(batches), 1),
        "to_aiokafka": round(median(ours) / median(sends), 3),
        "to_aiokafka_batches": round(median(ours) / median(batches), 3),
        "each_round": [
            [round(rate) for rate in each] for each in zip(ours, sends, batches, strict=True)
        ],
        "events": events,
        "accounts": ACCOUNTS,
        "rounds": rounds,
    }


OPTIMIZING = ["-XX:TieredStopAtLevel=4"]
"""Java's own default, as in production. Brokers of tests start faster with the simple compiler,
which does not use the processor's instructions for AES, so TLS would cost several times as much."""


def measure_tls(*, rounds: int, seconds: int) -> dict[str, Any]:
    """Drain to one broker in plaintext, and by TLS with a password, in turn; return the medians."""
    if why_not := kafka_jars.missing():
        raise Unavailable(why_not)
    events = EVENTS_PER_SECOND * seconds
    plain, encrypted = [], []
    with (
        tempfile.TemporaryDirectory(prefix="govid-bench-") as folder,
        secured(Path(folder), java_options=OPTIMIZING) as broker,
        cluster.server() as postgres,
    ):
        servers = BenchBackends(postgres, broker.admin_address)
        # Once in vain each: a broker compiles its TLS only after some use.
        _drain(servers, EVENTS_PER_SECOND)
        _drain(servers, EVENTS_PER_SECOND, broker)
        for _ in range(rounds):
            plain.append(_drain(servers, events)[0])
            encrypted.append(_drain(servers, events, broker)[0])
    return {
        "plaintext_per_second": round(median(plain), 1),
        "tls_per_second": round(median(encrypted), 1),
        "to_plaintext": round(median(encrypted) / median(plain), 3),
        "each_round": [
            [round(rate) for rate in each] for each in zip(plain, encrypted, strict=True)
        ],
        "events": events,
        "rounds": rounds,
    }


def _drain(
    servers: BenchBackends, events: int, broker: SecuredBroker | None = None
) -> tuple[float, str]:
    """Return events/s, and the topic that they are in."""
    hub = BusUnderTest(servers.settings(broker))
    ledger = Ledger(ACCOUNTS)
    rate = run(_drained(hub, ledger, events))
    topic = hub.settings.wire_name(Topic.VERIFICATION_REQUEST)
    ledger.compare_records(servers.kafka, topic)
    return rate, topic


async def _drained(hub: BusUnderTest, ledger: Ledger, events: int) -> float:
    await hub.fill([ledger.request() for _ in range(events)])
    async with hub.run():
        await hub.wait_until_drained()
    await settled(hub.settings.database_url, events, receipts=events)
    return await pace(hub.settings.database_url, events, first=hub.settings.relay_batch_size)


async def pace(url: str, events: int, *, first: int) -> float:
    """Return the rate from when the *first* events were done until all were: without the start."""
    rows = await fetch(url, PACE, first - 1)
    return (events - first) / float(rows[0][0])

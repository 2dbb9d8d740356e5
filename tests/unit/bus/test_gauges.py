"""Gauges in Prometheus's format, to the letter."""

import asyncio
import time

from prometheus_client import CollectorRegistry, generate_latest

from govid.bus.gauges import BusGauges, DatabaseSample, EventLoopLag, GaugeSources, PendingStats
from govid.bus.metrics import KafkaState


def reported(sample: DatabaseSample) -> list[str]:
    registry = CollectorRegistry()
    registry.register(
        BusGauges(
            GaugeSources(
                sample=lambda: sample,
                loop_lag=lambda: 0.25,
                retention_age=lambda: 7.0,
                failing_seconds=lambda: 3.0,
                leases=lambda: {"nhs.booking": 64},
                relay_state=lambda: KafkaState.DOWN,
                inbox_lag=lambda: {("hmrc.death.notification", 3): 12},
                inbox_held_back=lambda: {("hmrc.death.notification", 3): 4},
                inbox_stopped=lambda: {
                    ("hmrc.death.notification", 3): 1,
                    ("identity.verification.result", 0): 0,
                },
                activity_dropped=lambda: 7,
                topics=lambda: {"missing": 1, "changed": 2},
                is_kafka_ahead=lambda: True,
                topics_created_again=lambda: 3,
            )
        )
    )
    lines = generate_latest(registry).decode().splitlines()
    return [line for line in lines if not line.startswith("#")]


def test_every_gauge_is_reported() -> None:
    debts = PendingStats(pending=5, oldest_seconds=1.5, parked_keys=2, dead=1)
    sample = DatabaseSample(
        outbox={"nhs.booking": debts},
        dead_tuples={"bus.delivery": 9},
        oldest_transaction_seconds=0.5,
    )
    assert reported(sample) == [
        'govid_outbox_pending{subscriber="nhs.booking"} 5.0',
        'govid_outbox_oldest_seconds{subscriber="nhs.booking"} 1.5',
        'govid_outbox_parked_keys{subscriber="nhs.booking"} 2.0',
        'govid_outbox_dead{subscriber="nhs.booking"} 1.0',
        'govid_dead_tuples{table="bus.delivery"} 9.0',
        "govid_oldest_transaction_seconds 0.5",
        'govid_relay_state{state="connecting"} 0.0',
        'govid_relay_state{state="ok"} 0.0',
        'govid_relay_state{state="down"} 1.0',
        'govid_inbox_lag{partition="3",topic="hmrc.death.notification"} 12.0',
        'govid_inbox_held_back{partition="3",topic="hmrc.death.notification"} 4.0',
        'govid_inbox_failing{partition="3",topic="hmrc.death.notification"} 1.0',
        'govid_inbox_failing{partition="0",topic="identity.verification.result"} 1.0',
        'govid_inbox_stopped{partition="3",topic="hmrc.death.notification"} 1.0',
        'govid_inbox_stopped{partition="0",topic="identity.verification.result"} 0.0',
        'govid_leases_held{subscriber="nhs.booking"} 64.0',
        'govid_topics{state="missing"} 1.0',
        'govid_topics{state="changed"} 2.0',
        "govid_relay_kafka_ahead 1.0",
        "govid_topics_created_again_total 3.0",
        "govid_activity_dropped_total 7.0",
        "govid_loop_lag_seconds 0.25",
        "govid_dispatcher_failing_seconds 3.0",
        "govid_retention_age_seconds 7.0",
        "govid_audit_seal_age_seconds 0.0",
    ]


def test_a_database_that_is_away_leaves_gaps_and_no_zeros() -> None:
    assert [line.partition(" ")[0] for line in reported(DatabaseSample())] == [
        'govid_relay_state{state="connecting"}',
        'govid_relay_state{state="ok"}',
        'govid_relay_state{state="down"}',
        'govid_inbox_lag{partition="3",topic="hmrc.death.notification"}',
        'govid_inbox_held_back{partition="3",topic="hmrc.death.notification"}',
        'govid_inbox_failing{partition="3",topic="hmrc.death.notification"}',
        'govid_inbox_failing{partition="0",topic="identity.verification.result"}',
        'govid_inbox_stopped{partition="3",topic="hmrc.death.notification"}',
        'govid_inbox_stopped{partition="0",topic="identity.verification.result"}',
        'govid_leases_held{subscriber="nhs.booking"}',
        'govid_topics{state="missing"}',
        'govid_topics{state="changed"}',
        "govid_relay_kafka_ahead",
        "govid_topics_created_again_total",
        "govid_activity_dropped_total",
        "govid_loop_lag_seconds",
        "govid_dispatcher_failing_seconds",
        "govid_retention_age_seconds",
        "govid_audit_seal_age_seconds",
    ]


async def test_who_blocks_the_loop_is_seen() -> None:
    lag = EventLoopLag()
    looking = asyncio.create_task(lag.run())
    await asyncio.sleep(0)
    time.sleep(0.4)  # noqa: ASYNC251 - this is the misdeed
    await asyncio.sleep(0.01)
    looking.cancel()
    assert 0.15 <= lag.worst_seconds < 5

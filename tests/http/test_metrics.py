"""What Prometheus reads: every metric that was promised, and no personal data."""

import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from govid.bus import Database
from tests.http.client import NHS, NIN, PASSWORD, Client

PROMISED = {
    "govid_events_emitted_total": {"type"},
    "govid_deliveries_total": {"subscriber", "outcome"},
    "govid_delivery_seconds": {"subscriber"},
    "govid_outbox_pending": {"subscriber"},
    "govid_outbox_oldest_seconds": {"subscriber"},
    "govid_outbox_parked_keys": {"subscriber"},
    "govid_outbox_dead": {"subscriber"},
    "govid_relay_acked_total": {"topic"},
    "govid_relay_ack_seconds": {"topic"},
    "govid_relay_state": {"state"},
    "govid_relay_producer_rebuilds_total": {"reason"},
    "govid_inbox_records_total": {"topic", "outcome"},
    "govid_inbox_lag": {"topic", "partition"},
    "govid_inbox_held_back": {"topic", "partition"},
    "govid_inbox_failing": {"topic", "partition"},
    "govid_inbox_removed_records_total": {"topic"},
    "govid_inbox_gap_records": set(),
    "govid_notices_unreadable_total": set(),
    "govid_inbox_stopped": {"topic", "partition"},
    "govid_department_seconds": {"department", "operation", "outcome"},
    "govid_breaker_state": {"department", "api"},
    "govid_leases_held": {"subscriber"},
    "govid_leases_lost_total": set(),
    "govid_activity_dropped_total": set(),
    "govid_sign_ins_total": {"outcome"},
    "govid_hashes_waiting": set(),
    "govid_sieges_total": {"flow"},
    "govid_hashes_total": {"outcome"},
    "govid_oldest_transaction_seconds": set(),
    "govid_dead_tuples": {"table"},
    "govid_loop_lag_seconds": set(),
    "govid_dispatcher_failing_seconds": set(),
    "govid_retention_age_seconds": set(),
    "govid_audit_seal_age_seconds": set(),
    "govid_audit_sealed_entries_total": set(),
    "govid_audit_refused_entries_total": set(),
    "govid_audit_history_conflicts_total": set(),
    "govid_gc_pause_seconds": {"generation"},
    "govid_reviews_open": set(),
    "govid_delivery_groups_total": {"subscriber", "outcome"},
    "govid_topics": {"state"},
    "govid_relay_kafka_ahead": set(),
    "govid_topics_created_again_total": set(),
    "govid_department_wrong_answers_total": {"department"},
    "govid_connections": set(),
    "govid_connections_ended_total": {"reason"},
    "govid_build_info": {"version", "python"},
    "govid_http_requests_total": {"method", "route", "status"},
    "govid_http_request_seconds": {"method", "route"},
}
ANY_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-|[0-9a-f]{32}|AB ?12 ?34|\d{9,}|@|eyJ", re.IGNORECASE)
Sample = tuple[str, tuple[tuple[str, str], ...]]


async def scraped(client: Client) -> dict[Sample, float]:
    """Return every sample by its name and labels."""
    answer = await client.get("/metrics")
    assert answer.status_code == 200
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def requests(samples: dict[Sample, float]) -> dict[tuple[str, str, str], float]:
    """Return the counted requests by method, route and status."""
    return {
        tuple(dict(labels)[name] for name in ("method", "route", "status")): value  # type: ignore[misc]
        for (sample, labels), value in samples.items()
        if sample == "govid_http_requests_total"
    }


async def test_the_format_is_prometheus_own(visitor: Client) -> None:
    answer = await visitor.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("name", PROMISED)
async def test_every_metric_exists(visitor: Client, name: str) -> None:
    text = (await visitor.get("/metrics")).text
    assert re.search(rf"^# TYPE {name} \w+$", text, re.MULTILINE)


async def test_there_is_no_metric_of_ours_that_was_not_promised(visitor: Client) -> None:
    text = (await visitor.get("/metrics")).text
    assert set(re.findall(r"^# TYPE (govid_\w+)", text, re.MULTILINE)) == PROMISED.keys()


async def test_requests_are_counted_as_they_were_answered(client: Client) -> None:
    token = await client.citizen()
    await client.get("/api/auth/profile", token)
    await client.get("/api/auth/profile", "a.b.c")
    await client.http.head("/health/live")
    await client.http.put("/api/auth/profile")
    await client.get("/nothing/here")
    await client.http.request("PURGE", "/coffee")
    await client.http.options("/api/auth/profile")
    assert requests(await scraped(client)) == {
        ("POST", "/api/auth/register", "201"): 1,
        ("POST", "/api/auth/login", "200"): 1,
        ("GET", "/api/auth/profile", "200"): 1,
        ("GET", "/api/auth/profile", "401"): 1,
        ("HEAD", "/health/live", "200"): 1,
        ("PUT", "unmatched", "405"): 1,
        ("GET", "unmatched", "404"): 1,
        ("other", "unmatched", "404"): 1,
        ("OPTIONS", "/api/auth/profile", "204"): 1,
    }


async def test_paths_with_an_id_are_one_route(client: Client) -> None:
    token = await client.citizen()
    await client.get("/api/nhs/appointments/01890000-0000-7000-8000-000000000001", token)
    await client.get("/api/nhs/appointments/01890000-0000-7000-8000-000000000002", token)
    counted = requests(await scraped(client))
    assert counted["GET", "/api/nhs/appointments/{appointment_id}", "404"] == 2


async def test_sign_ins_are_counted_by_outcome(client: Client, database: Database) -> None:
    await client.citizen()
    await client.post("/api/auth/login", {"email": NIN["email"], "password": "something else"})
    await client.post("/api/auth/login", {"email": NIN["email"]})
    await database.reads.execute(
        "UPDATE identity.account SET status = 'blocked', status_before = 'verified'"
    )
    await client.post("/api/auth/login", {"email": NIN["email"], "password": PASSWORD})
    samples = await scraped(client)
    assert {
        labels: value for (name, labels), value in samples.items() if name == "govid_sign_ins_total"
    } == {
        (("outcome", "signed_in"),): 1,
        (("outcome", "refused"),): 1,
        (("outcome", "malformed"),): 1,
        (("outcome", "blocked"),): 1,
    }


async def test_i9_no_label_holds_anyones_data(client: Client) -> None:
    token = await client.citizen(NIN)
    await client.until_status(token, "verified")
    await client.until_status(await client.citizen(NHS), "verified")
    await client.get(f"/api/nhs/patients/{NIN['identifierValue']}", token)
    await client.get(f"/{NHS['identifierValue']}?email={NIN['email']}", token)
    await client.get("/health", "not-a-token")
    samples = await scraped(client)
    emitted = {dict(labels)["type"] for name, labels in samples if name.endswith("emitted_total")}
    assert "identity.account.verified" in emitted
    values = {value for _, labels in samples for _, value in labels}
    assert {value for value in values if ANY_ID.search(value)} == set()


async def test_the_labels_are_the_promised_ones(client: Client) -> None:
    await client.until_status(await client.citizen(), "verified")
    found = {
        (re.sub(r"_(bucket|count|sum)$", "", name), tuple(label for label, _ in labels))
        for name, labels in await scraped(client)
        if name.startswith("govid_")
    }
    # An instrument that nothing has touched yet has no series, and so no labels.
    assert {name: set(labels) - {"le"} for name, labels in found}.items() <= PROMISED.items()


def watched() -> dict[str, tuple[str, dict[str, str]]]:
    """Return by alarm which counter it watches for a first increase, and the labels it asks for."""
    text = (Path(__file__).parents[2] / "docs/runbook.md").read_text("utf-8")
    table = re.findall(r"^\| (\w+) \| `([^`]*increase\([^`]*)\) > 0`", text, re.MULTILINE)
    counters = {
        alarm: re.search(r"increase\((\w+)(?:\{([^}]*)\})?\[", expression)
        for alarm, expression in table
    }
    return {
        alarm: (found[1], dict(re.findall(r'(\w+)=~?"([^"]*)"', found[2] or "")))
        for alarm, found in counters.items()
        if found is not None
    }


@pytest.mark.parametrize("alarm", watched())
async def test_a12_an_alarm_hears_of_the_first_of_its_kind(client: Client, alarm: str) -> None:
    # Prometheus sees no increase in a series that appears: it has to be there at 0 before.
    name, asked = watched()[alarm]
    # A table of Markdown needs its pipes escaped.
    wanted = [(label, one) for label, values in asked.items() for one in values.split("\\|")]
    series = [dict(labels) for sample, labels in await scraped(client) if sample == name]
    assert series, f"{name} has no series before it counts"
    for label, pattern in wanted:
        assert [labels for labels in series if re.fullmatch(pattern, labels[label])]


def test_alarms_that_wait_for_a_first_increase_are_found() -> None:
    assert {
        "InboxUnreadable",
        "InboxConflict",
        "NoticeUnreadable",
        "BruteForce",
    } <= watched().keys()


def test_what_is_documented_exists() -> None:
    text = (Path(__file__).parents[2] / "docs/metrics.md").read_text("utf-8")
    assert set(re.findall(r"^\| `(govid_\w+)`", text, re.MULTILINE)) == PROMISED.keys()

"""The panel of `govid dev` fits a terminal of 80 columns, and breaks no address."""

from datetime import UTC, datetime
from typing import Any

import click
import pytest

from govid.gateway.dev.people import STANDARD_PEOPLE
from govid.gateway.dev.start_panel import WIDTH, StartPanel, render_panel


def panel(**changes: Any) -> StartPanel:
    url = "http://127.0.0.1:8127"
    values: dict[str, Any] = {
        "version": "0.1.0",
        "ready_seconds": 6.1,
        "service": url,
        "api_docs": f"{url}/docs",
        "openapi": f"{url}/openapi.json",
        "health": f"{url}/health",
        "jwks": f"{url}/.well-known/jwks.json",
        "inbox": f"{url}/dev/inbox",
        "postgres": "postgresql://postgres@/postgres?host=/tmp/g/.govid/postgres",
        "postgres_version": "18.1",
        "postgres_embedded": True,
        "kafka": "127.0.0.1:39411",
        "kafka_in_memory": True,
        "state_file": "/home/ada/work/projects/govid/.govid/dev.json",
        "sign_in": [person.email for person in STANDARD_PEOPLE],
        "death_notification_for": "AB123456C",
        "death_notification_at": datetime(2026, 1, 31, 12, tzinfo=UTC),
    }
    return StartPanel(**{**values, **changes})


@pytest.mark.parametrize(
    ("changes", "command"),
    [
        ({}, "govid"),
        ({}, "../some/where/else/.venv/bin/govid"),
        ({"kafka": "kafka-1.example:9092,kafka-2.example:9092", "kafka_in_memory": False}, "govid"),
        ({"inbox": None, "sign_in": (), "death_notification_at": None}, "govid"),
    ],
)
def test_f9_the_panel_fits_a_terminal(changes: dict[str, Any], command: str) -> None:
    shown = panel(**changes)
    lines = click.unstyle(render_panel(shown, "FaRGYrkmpBRP", command)).splitlines()
    assert [line for line in lines if len(line) > WIDTH] == []
    whole = (shown.api_docs, shown.openapi, shown.health, shown.postgres, shown.kafka)
    reported = (*whole, *shown.sign_in, f"{command} outbox status", "password FaRGYrkmpBRP")
    words = [*reported] if shown.sign_in else [*whole, f"{command} demo all"]
    assert [word for word in words if not any(word in line for line in lines)] == []


def test_f9_an_address_that_is_too_long_stays_whole() -> None:
    url = f"postgresql://postgres@/postgres?host=/{'a' * 90}"
    lines = click.unstyle(render_panel(panel(postgres=url), "x")).splitlines()
    assert f" Postgres  {url}" in lines

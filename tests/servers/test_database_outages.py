"""A running server logs why its database is unavailable, each reason once and without secrets."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from govid.bus import BusSettings
from govid.bus.delivery.leases import Leases
from govid.bus.storage.connection_failures import OutageLog
from tests.backends.debian_postgres import DebianServer
from tests.integration.bus.harness import wait_until

END = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'replica'"


@asynccontextmanager
async def renewing(server: DebianServer) -> AsyncIterator[Leases]:
    """Renew leases as a login of its own, whose password is the server's."""
    await server.execute(f"CREATE ROLE replica LOGIN SUPERUSER PASSWORD '{server.password}'")
    settings = BusSettings(
        database_url=server.url(user="replica"),
        kafka_bootstrap_servers="",
        pseudonym_key=b"x" * 32,
        lease_seconds=3,
    )
    leases = Leases(settings, ["relay"], outages=OutageLog())
    task = asyncio.create_task(leases.run())
    try:
        yield leases
    finally:
        task.cancel()
        await asyncio.wait([task])


def explained(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the reasons in the log, and the ends of outages."""
    return [
        getattr(one, "reason", one.message)
        for one in caplog.records
        if one.message in {"database.outage_explained", "database.ok"}
    ]


@pytest.mark.timeout(90)
async def test_each_reason_of_an_outage_is_logged_once_and_then_its_end(
    primary: DebianServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "govid")
    refused = "the database refuses this role or its password"
    stopped = f"no connection to PostgreSQL at 127.0.0.1:{primary.port} (connection refused)"
    async with renewing(primary) as leases:

        async def is_healthy() -> bool:
            return leases.is_healthy

        async def is_refused() -> bool:
            return refused in explained(caplog)

        async def is_stopped() -> bool:
            attempts = [one for one in caplog.records if one.message == "leases.database_away"]
            return stopped in explained(caplog) and len(attempts) > 4

        async def is_over() -> bool:
            return explained(caplog)[-1:] == ["database.ok"]

        await wait_until(is_healthy)
        await primary.execute("ALTER ROLE replica PASSWORD 'another'", END)
        await wait_until(is_refused)
        await primary.execute(f"ALTER ROLE replica PASSWORD '{primary.password}'")
        await asyncio.to_thread(primary.stop)
        await wait_until(is_stopped)
        await asyncio.to_thread(primary.start)
        await wait_until(is_over)
    # While it stops, an attempt may meet other reasons for a moment.
    expected = [refused, stopped, "database.ok"]
    assert [one for one in explained(caplog) if one in expected] == expected
    assert primary.password not in caplog.text
    assert all(primary.password not in str(vars(one)) for one in caplog.records)

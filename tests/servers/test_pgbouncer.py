"""C7: govid works through a PgBouncer in session mode, also if that ends its sessions."""

import asyncio
import subprocess
from pathlib import Path

import asyncpg
import httpx
import pytest

from tests.backends.debian_postgres import BINARIES, DebianServer, pgbouncer
from tests.http.client import NHS, NIN, Client
from tests.http.serving import demonstration, serving
from tests.servers.signals import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

SECONDS = 30
FAILURES = """
    SELECT (SELECT count(*) FROM bus.parked WHERE attempts > 0) + (SELECT count(*) FROM bus.dead)
"""


async def count_failures(server: DebianServer) -> int:
    """Return how many deliveries have failed once or more."""
    connection = await asyncpg.connect(server.url())
    try:
        return int(await connection.fetchval(FAILURES))
    finally:
        await connection.close()


def end_sessions(url: str) -> None:
    """End all sessions through the PgBouncer at *url*, and let it accept new ones."""
    console = url.removesuffix("/postgres") + "/pgbouncer"
    for command in ("KILL postgres", "RESUME postgres"):
        subprocess.run(
            [str(BINARIES / "psql"), "-q", "-c", command, console], check=True, timeout=10
        )


async def test_c7_a_server_works_in_session_mode_and_after_the_end_of_its_sessions(
    primary: DebianServer, tmp_path: Path
) -> None:
    with (
        pgbouncer(primary, "session", settings="default_pool_size = 40") as url,
        serving(demonstration(url, tmp_path)) as address,
    ):
        async with httpx.AsyncClient(base_url=address, timeout=10) as http:
            client = Client(http)

            async def is_registered() -> bool:
                answer = await client.register(NIN)
                assert answer.status_code in {201, 503}, answer.text
                return answer.status_code == httpx.codes.CREATED

            first = await client.citizen(NHS)
            await client.until_status(first, "verified", SECONDS)
            await asyncio.to_thread(end_sessions, url)
            await wait_until(is_registered)
            second = await client.token(NIN["email"])
            await client.until_status(second, "verified", SECONDS)
            assert (await client.get("/api/auth/profile", first)).status_code == 200
    assert await count_failures(primary) == 0

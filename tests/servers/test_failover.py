"""C1: after a fail-over nothing stays on a server that accepts no writes."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg
import httpx
import pytest

from tests.backends.debian_postgres import DebianServer
from tests.backends.switch import SwitchedPort
from tests.http.client import NHS, Client
from tests.http.serving import demonstration, serving

HEALS_SECONDS = 30
HANDLED = "SELECT count(*) FROM bus.receipt WHERE subscriber = 'nhs.verification'"


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    deadline = time.monotonic() + HEALS_SECONDS
    while not await condition():
        assert time.monotonic() < deadline, "not healed in time"
        await asyncio.sleep(0.1)


async def sessions_of_govid(server: DebianServer) -> list[str]:
    connection = await asyncpg.connect(server.url())
    try:
        rows = await connection.fetch(
            "SELECT application_name FROM pg_stat_activity WHERE application_name LIKE 'govid%'"
        )
        return [row["application_name"] for row in rows]
    finally:
        await connection.close()


async def readiness(http: httpx.AsyncClient) -> tuple[int, str]:
    answer = await http.get("/health/ready")
    return answer.status_code, answer.json()["dependencies"]["database"]


async def registered(client: Client, number: int) -> int:
    answer = await client.register(NHS, email=f"citizen{number}@example.com")
    assert answer.status_code in {200, 201, 400, 503}, answer.text
    assert answer.status_code != 503 or answer.headers["retry-after"]
    return int(answer.status_code)


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_c1_everything_follows_a_failover(
    primary: DebianServer, standby: DebianServer, address: SwitchedPort, tmp_path: Path
) -> None:
    url = primary.url().replace(str(primary.port), str(address.port))
    with serving(demonstration(url, tmp_path)) as server:
        async with httpx.AsyncClient(base_url=server, timeout=10) as http:
            client = Client(http)

            async def is_ready() -> bool:
                return await readiness(http) == (200, "ok")

            async def has_left_the_old_server() -> bool:
                return await sessions_of_govid(primary) == []

            async def has_reached_the_new_one() -> bool:
                return {"govid", "govid leases", "govid wake"} <= set(
                    await sessions_of_govid(standby)
                )

            token = await client.citizen()
            await until(is_ready)
            await asyncio.to_thread(standby.promote)
            address.target = standby.port
            await primary.turn_read_only()

            # A request on an old connection is asked to come again; the next ones are served.
            answers = [await registered(client, number) for number in range(12)]
            assert 500 not in answers
            await until(is_ready)
            await until(has_left_the_old_server)
            assert (await client.get("/api/auth/profile", token)).status_code == 200
            await until(has_reached_the_new_one)


@pytest.mark.timeout(240)
async def test_c1_server_that_turns_read_only_is_not_ready_until_it_accepts_writes_again(
    primary: DebianServer, tmp_path: Path
) -> None:
    with serving(demonstration(primary.url(), tmp_path)) as server:
        async with httpx.AsyncClient(base_url=server, timeout=10) as http:
            client = Client(http)
            token = await client.citizen()

            async def is_read_only() -> bool:
                return await readiness(http) == (503, "read-only")

            async def is_ready() -> bool:
                return await readiness(http) == (200, "ok")

            await until(is_ready)
            await primary.turn_read_only()
            await until(is_read_only)
            refused = await client.register(NHS, email="second@example.com")
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
            assert (await client.get("/api/auth/profile", token)).status_code == 200
            await primary.execute(
                "SET default_transaction_read_only = off",
                "ALTER SYSTEM RESET default_transaction_read_only",
                "SELECT pg_reload_conf()",
            )
            await until(is_ready)


@pytest.mark.timeout(240)
async def test_c1_restart_of_the_server_is_followed(primary: DebianServer, tmp_path: Path) -> None:
    with serving(demonstration(primary.url(), tmp_path)) as server:
        async with httpx.AsyncClient(base_url=server, timeout=10) as http:
            client = Client(http)
            token = await client.citizen()

            async def is_ready() -> bool:
                return await readiness(http) == (200, "ok")

            await until(is_ready)
            await asyncio.to_thread(primary.stop, "fast")
            assert (await client.get("/api/auth/profile", token)).status_code == 503
            await asyncio.to_thread(primary.start)
            await until(is_ready)
            assert (await client.get("/api/auth/profile", token)).status_code == 200

"""An operator command takes effect on the next request to a running server."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from govid.gateway.cli.commands import commands
from tests.audit_entries import AUDIT_KEY
from tests.http.client import NHS, PASSWORD, Client
from tests.unit.cli.golden import PLAIN

APPOINTMENTS = "/api/nhs/appointments"
APPOINTMENT_REQUEST = {
    "patient_identifier": "943 476 5919",
    "requested_datetime": "2035-07-01T09:30:00",
    "doctor_specialty": "Cardiology",
}
Govid = Callable[..., Awaitable[int]]


@pytest.fixture
def govid(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Govid:
    """Return what runs `govid accounts` on the server's database and returns its exit code."""
    monkeypatch.chdir(tmp_path)
    env = {
        **PLAIN,
        "GOVID_DATABASE_URL": database_url,
        "GOVID_PSEUDONYM_KEY": "k" * 32,
        "GOVID_AUDIT_KEY": AUDIT_KEY,
    }

    async def run(verb: str) -> int:
        words = ["accounts", verb, "--email", "--reason", "a test", "--yes"]
        typed = NHS["email"]
        result = await asyncio.to_thread(CliRunner(env=env).invoke, commands, words, typed)
        return result.exit_code

    return run


async def until(client: Client, place: str, token: str, status: str) -> dict[str, Any]:
    async with asyncio.timeout(10):
        while (found := (await client.get(place, token)).json()).get("status") != status:
            await asyncio.sleep(0.05)
    return dict(found)


async def test_r12_a_block_is_felt_by_the_next_request(client: Client, govid: Govid) -> None:
    token = await client.citizen(NHS)
    assert await govid("block") == 0
    assert (await client.get("/api/auth/profile", token)).status_code == 401
    assert (await client.post(APPOINTMENTS, APPOINTMENT_REQUEST, token)).status_code == 401
    refused = await client.post("/api/auth/login", {"email": NHS["email"], "password": PASSWORD})
    assert (refused.status_code, refused.json()["detail"]) == (403, "Account is blocked")


async def test_r14_who_gets_their_account_back_signs_in_anew_and_books_again(
    client: Client, govid: Govid
) -> None:
    old = await client.citizen(NHS)
    booked = (await client.post(APPOINTMENTS, APPOINTMENT_REQUEST, old)).json()
    place = f"{APPOINTMENTS}/{booked['appointment_id']}"
    await until(client, place, old, "CONFIRMED")
    assert (await govid("block"), await govid("restore")) == (0, 0)
    assert (await client.get("/api/auth/profile", old)).status_code == 401
    new = await client.token(NHS["email"])
    await until(client, place, new, "CANCELLED")
    async with asyncio.timeout(10):
        while (await client.post(APPOINTMENTS, APPOINTMENT_REQUEST, new)).status_code != 202:
            await asyncio.sleep(0.05)
    assert (await client.get(place, new)).json()["status"] == "CANCELLED"


async def test_r12_a_block_by_another_process_is_felt_by_the_next_request(
    client: Client, database_url: str, tmp_path: Path
) -> None:
    token = await client.citizen(NHS)
    assert (await client.get("/api/auth/profile", token)).status_code == 200
    assert await block(database_url, tmp_path) == 0
    assert (await client.get("/api/auth/profile", token)).status_code == 401


async def block(database_url: str, folder: Path) -> int:
    """Run `govid accounts block` as a process of its own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "govid", "accounts", "block", "--email"),
        *("--reason", "a test", "--yes"),
        cwd=folder,
        env={
            **os.environ,
            "GOVID_DATABASE_URL": database_url,
            "GOVID_PSEUDONYM_KEY": "k" * 32,
            "GOVID_AUDIT_KEY": AUDIT_KEY,
        },
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    await process.communicate(NHS["email"].encode())
    assert process.returncode is not None
    return process.returncode

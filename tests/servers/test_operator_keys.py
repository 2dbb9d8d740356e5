"""Both keys of the operator are exchanged, one server after the other, while the service runs."""

import asyncio
import json
import secrets
import subprocess
import sys
from typing import Any

import httpx
import pytest

from tests.backends.govid import FLOOR_OF_HASHES, Govid
from tests.faults.registrants import Applicant, build_applicants, sign_in
from tests.servers.signals import StartServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

OLD_KEY, NEW_KEY, OLD_PSEUDONYM, NEW_PSEUDONYM = (secrets.token_urlsafe(48) for _ in range(4))
FORMER = {"GOVID_KEY_ENCRYPTION_KEY": OLD_KEY, "GOVID_PSEUDONYM_KEY": OLD_PSEUDONYM}
BOTH_ACCEPTED = {
    **FORMER,
    "GOVID_OLD_KEY_ENCRYPTION_KEY": NEW_KEY,
    "GOVID_OLD_PSEUDONYM_KEYS": NEW_PSEUDONYM,
}
EXCHANGED = {
    "GOVID_KEY_ENCRYPTION_KEY": NEW_KEY,
    "GOVID_OLD_KEY_ENCRYPTION_KEY": OLD_KEY,
    "GOVID_PSEUDONYM_KEY": NEW_PSEUDONYM,
    "GOVID_OLD_PSEUDONYM_KEYS": OLD_PSEUDONYM,
}
REENCRYPTED = {**EXCHANGED, "GOVID_OLD_KEY_ENCRYPTION_KEY": ""}


class ServicePair:
    """Two servers of one database, and what their clients do after each step."""

    def __init__(self, servers: list[Govid]) -> None:
        """Call *servers*."""
        self._servers = servers
        self._applicants = iter(build_applicants(40, group="keys"))
        self._known: list[Applicant] = []
        self._tokens: list[dict[str, str]] = []

    async def check_clients(self) -> set[int]:
        """Register, sign in, and use every earlier token at each server; return the statuses."""
        statuses: list[int] = []
        for server in self._servers:
            async with httpx.AsyncClient(base_url=server.url, timeout=30) as client:
                applicant = next(self._applicants)
                answer = await client.post("/api/auth/register", json=applicant.body())
                statuses.append(answer.status_code)
                self._known.append(applicant)
                # The account of an earlier step has its facts and digests under earlier keys.
                for one in (self._known[0], applicant):
                    self._tokens.append(await sign_in(client, one.email))
                for headers in self._tokens:
                    answer = await client.get("/api/auth/profile", headers=headers)
                    statuses.append(answer.status_code)
        return set(statuses)

    async def restart_with(self, keys: dict[str, str]) -> set[int]:
        """Restart one server after the other with *keys*; return the statuses of all clients."""
        statuses: set[int] = set()
        for server in self._servers:
            await asyncio.to_thread(server.stop)
            server.environment = {**server.environment, **keys}
            await asyncio.to_thread(server.start)
            statuses |= await self.check_clients()
        return statuses


def run_govid(server: Govid, *arguments: str) -> Any:
    """Run a command with the settings of *server*; return its document."""
    done = subprocess.run(
        [sys.executable, "-m", "govid", *arguments, "--json"],
        cwd=server.folder,
        env=server.environment,
        check=False,
        capture_output=True,
        timeout=60,
    )
    return json.loads(done.stdout)


async def test_c11_both_keys_are_exchanged_while_clients_register_and_sign_in(
    start: StartServer,
) -> None:
    servers = [start(**FLOOR_OF_HASHES, **FORMER) for _ in range(2)]
    service = ServicePair(servers)
    statuses = [
        await service.check_clients(),
        await service.restart_with(BOTH_ACCEPTED),
        await service.restart_with(EXCHANGED),
    ]
    columns = await asyncio.to_thread(run_govid, servers[0], "keys", "reencrypt")
    again = await asyncio.to_thread(run_govid, servers[0], "keys", "reencrypt")
    statuses.append(await service.restart_with(REENCRYPTED))
    faults = (await asyncio.to_thread(run_govid, servers[0], "check"))["faults"]
    usage = await asyncio.to_thread(run_govid, servers[0], "keys", "status")

    assert statuses == [{200, 201}] * 4
    renewed = {one["column"]: one["renewed"] for one in columns}
    assert renewed["identity.signing_key.private_key"] == 1
    assert [one["unreadable"] for one in columns] == [0] * len(columns)
    assert [one["renewed"] for one in again] == [0] * len(again)
    assert [one for one in faults if "key" in one.lower()] == []
    assert [one["state"] for one in usage] == ["newest", "older"]

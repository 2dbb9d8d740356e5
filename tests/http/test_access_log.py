"""A citizen sees who has used the account's data, and proves it without govid."""

import asyncio
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import httpx
import msgspec
import pytest

from govid.bus import (
    Actor,
    Database,
    OperationContext,
    PseudonymGenerator,
    SystemClock,
    UnitOfWork,
    uuid7,
)
from govid.bus.audit.entries import EntryFactory
from govid.bus.delivery.outbox import PostgresOutbox
from govid.bus.delivery.subscriptions import Subscriptions
from govid.bus.events import DataViewed
from govid.bus.events.envelope import EnvelopeFactory
from govid.bus.events.registry import EventRegistry
from govid.gateway.settings import Settings
from tests.http.client import NHS, Client
from tests.http.serving import serving

TOOL = Path(__file__).parents[2] / "tools" / "check_access_proof.py"
LOG = "/api/auth/access-log"


async def look(
    database: Database, settings: Settings, account_id: UUID | None, view: str = "accounts show"
) -> None:
    """Record that an operator looks at the data of one account, or of several."""
    outbox = PostgresOutbox(
        EnvelopeFactory(EventRegistry(), PseudonymGenerator(b"k" * 32)),
        EntryFactory.from_settings(settings.bus.audit),
        Subscriptions(),
    )
    uow = UnitOfWork(database.requests, outbox, SystemClock(), lambda _subscribers: None)
    operator = Actor(kind="operator", id="Olivia Operator")
    async with uow.begin(OperationContext(correlation_id="look", actor=operator)) as tx:
        tx.emit(
            DataViewed(
                act_id=uuid7(),
                operator="Olivia Operator",
                stated_reason="A request by telephone",
                view=view,
                account_id=account_id,
                timestamp=datetime.now(UTC),
            )
        )


async def account_of(client: Client, token: str) -> UUID:
    return UUID((await client.get("/api/auth/profile", token)).json()["id"])


async def await_proof(client: Client, token: str, entry_id: str) -> httpx.Response:
    """Return the proof once the entry is sealed."""
    async with asyncio.timeout(10):
        while (answer := await client.get(f"{LOG}/{entry_id}/proof", token)).status_code == 503:
            assert answer.json()["type"] == "urn:govid:problem:access-entry-unsealed"
            assert answer.headers["retry-after"] == "1"
            await asyncio.sleep(0.05)
    assert answer.status_code == 200, answer.text
    return answer


async def run_tool(*arguments: str | Path) -> tuple[int, str]:
    """Run the tool offline; return its exit code and what it prints."""
    command = [sys.executable, "-I", str(TOOL), *map(str, arguments)]
    done = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, timeout=30, check=False
    )
    return done.returncode, done.stdout + done.stderr


async def save(client: Client, path: str, file: Path, token: str | None = None) -> Path:
    answer = await client.get(path, token)
    assert answer.status_code == 200, answer.text
    await asyncio.to_thread(file.write_bytes, answer.content)
    return file


async def test_r22_a_citizen_proves_offline_who_has_used_the_data(
    client: Client, database: Database, settings: Settings, tmp_path: Path
) -> None:
    token = await client.citizen()
    account_id = await account_of(client, token)
    await look(database, settings, account_id)
    await look(database, settings, None, "events tail --raw")
    answer = await client.get(LOG, token)
    assert "Olivia" not in answer.text
    one, common = answer.json()
    assert (one["role"], one["scope"], one["purpose"]) == (
        "operator",
        "account",
        "account_administration",
    )
    assert (common["scope"], common["fields"]) == ("all_accounts", ["events"])

    proof = await await_proof(client, token, one["id"])
    assert len(proof.content) <= 2_048
    file = tmp_path / "proof.json"
    file.write_bytes(proof.content)
    keys = await save(client, "/.well-known/audit-keys", tmp_path / "keys.json")
    code, printed = await run_tool(file, "--key", keys)
    assert (code, "Contained: entry " in printed, str(account_id) in printed) == (0, True, True)

    await look(database, settings, account_id)
    await await_proof(client, token, (await client.get(LOG, token)).json()[-1]["id"])
    size = proof.json()["checkpoint"].split("\n")[1]
    newer = await save(client, f"/api/auth/audit/consistency?from={size}", tmp_path / "newer")
    code, printed = await run_tool(file, "--key", keys, "--against", newer)
    assert (code, "Nothing was taken back: " in printed) == (0, True)
    assert [entry["is_sealed"] for entry in (await client.get(LOG, token)).json()] == [True] * 3


async def test_entries_about_others_are_like_missing_ones(
    client: Client, database: Database, settings: Settings
) -> None:
    await look(database, settings, None)
    token, other = await client.citizen(), await client.citizen(NHS)
    await look(database, settings, await account_of(client, token))
    [entry] = (await client.get(LOG, token)).json()
    assert (await client.get(LOG, other)).json() == []
    foreign = await client.get(f"{LOG}/{entry['id']}/proof", other)
    missing = await client.get(f"{LOG}/{uuid7()}/proof", other)
    assert (foreign.status_code, missing.status_code) == (404, 404)
    assert foreign.json()["type"] == missing.json()["type"]


async def test_a_citizens_own_reads_are_not_listed(client: Client, database: Database) -> None:
    token = await client.citizen()
    for path in ("/api/auth/profile", "/api/auth/export", LOG):
        assert (await client.get(path, token)).status_code == 200
    assert (await client.get(LOG, token)).json() == []
    query = "SELECT count(*) FROM audit.entry WHERE event = 'data.read'"
    assert await database.reads.fetchval(query) == 0


async def test_the_list_has_pages(client: Client, database: Database, settings: Settings) -> None:
    token = await client.citizen()
    account_id = await account_of(client, token)
    for subject in (account_id, None, account_id):
        await look(database, settings, subject)
    whole = (await client.get(LOG, token)).json()
    first = await client.get(f"{LOG}?limit=2", token)
    rest = await client.get(first.links["next"]["url"], token)
    assert first.json() + rest.json() == whole
    assert [one["scope"] for one in whole] == ["account", "all_accounts", "account"]
    assert "link" not in rest.headers


@pytest.mark.parametrize("size", ["0", "999999999", "-1", "x", str(2**63)])
async def test_a_size_that_the_log_never_had_is_refused(visitor: Client, size: str) -> None:
    assert (await visitor.get(f"/api/auth/audit/consistency?from={size}")).status_code == 422


@pytest.mark.parametrize(
    "content",
    [b"[" * 7_000, b"\xff", b"{}", b'{"id":1}', b"x" * 10_000, b'"\\ud800"'],
    ids=["nested", "no text", "empty", "wrong type", "too long", "surrogate"],
)
async def test_r22_a_damaged_entry_is_reported_and_not_left_out(
    client: Client, database: Database, settings: Settings, content: bytes
) -> None:
    token = await client.citizen()
    await look(database, settings, await account_of(client, token))
    [entry] = (await client.get(LOG, token)).json()
    await change(database, content)
    answers = [await client.get(path, token) for path in (LOG, f"{LOG}/{entry['id']}/proof")]
    assert [one.status_code for one in answers] == [503, 503]
    assert {one.json()["type"] for one in answers} == {"urn:govid:problem:access-entry-damaged"}


async def change(database: Database, content: bytes, *, whole_tree: bool = False) -> None:
    """Change all reads in the log as a superuser can, and with *whole_tree* forget the tree."""
    async with database.reads.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute(
            "UPDATE audit.entry SET content = $1 WHERE event = 'data.read'", content
        )
        await connection.execute(
            f"DELETE FROM audit.leaf WHERE {whole_tree}"  # noqa: S608 - a boolean
        )
        await connection.execute(
            f"DELETE FROM audit.checkpoint WHERE {whole_tree}"  # noqa: S608 - a boolean
        )


async def test_r22_a_proof_that_was_handed_out_exposes_a_changed_entry(
    database: Database, settings: Settings, tmp_path: Path
) -> None:
    with serving(settings) as url:
        async with httpx.AsyncClient(base_url=url, timeout=10) as http:
            client = Client(http)
            token = await client.citizen()
            await look(database, settings, await account_of(client, token))
            [entry] = (await client.get(LOG, token)).json()
            proof = tmp_path / "proof.json"
            proof.write_bytes((await await_proof(client, token, entry["id"])).content)
            keys = await save(client, "/.well-known/audit-keys", tmp_path / "keys.json")
    await change(database, b"{}", whole_tree=True)
    size = msgspec.json.decode(proof.read_bytes())["checkpoint"].split("\n")[1]
    # A new process seals what is left; it cannot know that there was another history.
    with serving(settings) as url:
        async with httpx.AsyncClient(base_url=url, timeout=10) as http:
            client = Client(http)
            await client.citizen(NHS)
            path = f"/api/auth/audit/consistency?from={size}"
            async with asyncio.timeout(10):
                while (answer := await client.get(path)).status_code != 200:
                    await asyncio.sleep(0.05)
            newer = tmp_path / "newer.json"
            newer.write_bytes(answer.content)
    assert await run_tool(proof, "--key", keys, "--against", newer) == (
        1,
        await printed_before(proof, keys)
        + "the newer log does not begin with the log of the proof\n",
    )


async def printed_before(proof: Path, keys: Path) -> str:
    code, printed = await run_tool(proof, "--key", keys)
    assert code == 0
    return printed


async def test_keys_and_checkpoint_are_published(client: Client) -> None:
    await client.citizen()
    async with asyncio.timeout(10):
        while (note := await client.get("/.well-known/audit-checkpoint")).status_code == 404:
            await asyncio.sleep(0.05)
    assert note.headers["content-type"] == "text/plain; charset=utf-8"
    keys = await client.get("/.well-known/audit-keys")
    assert keys.headers["cache-control"] == "public, max-age=300"
    [key] = keys.json()["keys"]
    assert key["is_current"]
    assert note.text.startswith(key["vkey"].split("+")[0] + "\n")

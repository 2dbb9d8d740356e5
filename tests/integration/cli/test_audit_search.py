"""`govid audit search` and `export` find entries, and show them as they are stored."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from click.testing import CliRunner, Result

from govid.bus.audit.keys import AuditKeys
from govid.bus.audit.merkle import hash_leaf
from govid.bus.audit.search import PAGE_ROWS, AuditSearch, EntryFilter
from govid.gateway.cli.commands import commands
from tests.audit_entries import AUDIT, AUDIT_KEY
from tests.integration.cli.conftest import OutboxFixture, in_thread
from tests.integration.cli.test_accounts import ADA, INSERT, SESSION

WHY = ("--reason", "case 71", "--actor", "ops-7", "--yes")
ADDRESS = "2001:db8::7"
KEYS = AuditKeys.from_settings(AUDIT)
STORE = """
    INSERT INTO audit.entry (id, at, event, subject, content, mac)
    VALUES ($1, now(), $2, $3, $4, $5)
"""
DEEP = b'{"a":' * 10_000


@pytest.fixture
def govid(runner: CliRunner) -> Callable[..., Result]:
    runner.env = {**runner.env, "GOVID_PSEUDONYM_KEY": "k" * 32}
    return lambda *arguments: runner.invoke(commands, arguments)


@pytest.fixture
async def blocked(govid: Any, connection: Any) -> None:
    """Block Ada's account, and restore it."""
    await connection.execute(INSERT, ADA)
    await connection.execute(SESSION, ADA)
    await in_thread(govid, "accounts", "block", str(ADA), *WHY)
    await in_thread(govid, "accounts", "restore", str(ADA), *WHY)


async def store(connection: Any, content: bytes, event: str = "login.failed") -> None:
    """Store an entry as a superuser may write one."""
    await connection.execute(STORE, uuid4(), event, None, content, KEYS.sign_entry(content))


async def found(govid: Any, *arguments: str) -> list[dict[str, Any]]:
    result = await in_thread(govid, "audit", "search", "--json", *arguments)
    assert result.exit_code == 0, result.output
    return [one for one in json.loads(result.stdout) if one["event"] != "data.read"]


@pytest.mark.parametrize(
    ("arguments", "events"),
    [
        (("--event", "account."), ["account.restored", "account.blocked"]),
        (("--event", "account.blocked"), ["account.blocked"]),
        (("--event", "account"), []),
        (("--account", str(ADA), "--event", "account.", "--limit", "1"), ["account.restored"]),
        (("--account", "0199f3c1-7c1e-7b1a-9d7e-5a1f0c2b3d40"), []),
        (("--operator", "ops-7", "--event", "account."), ["account.restored", "account.blocked"]),
        (("--operator", "ops-8"), []),
        (("--event", "account.", "--oldest-first"), ["account.blocked", "account.restored"]),
        (("--event", "account.", "--since", "1h"), ["account.restored", "account.blocked"]),
        (("--until", "1h"), []),
        (("--since", "99999d", "--until", "9999-12-31T23:59:59+14:00", "--event", "x."), []),
        (("--since", "0001-01-01", "--event", "x."), []),
    ],
    ids=str,
)
async def test_r22_entries_are_found_by_what_they_have(
    govid: Any, blocked: None, arguments: tuple[str, ...], events: list[str]
) -> None:
    assert [one["event"] for one in await found(govid, *arguments)] == events


async def test_r22_a_search_shows_what_was_done(govid: Any, blocked: None) -> None:
    (act,) = await found(govid, "--event", "account.blocked")
    assert {name: act[name] for name in act.keys() - {"time", "id"}} == {
        "event": "account.blocked",
        "outcome": "success",
        "actor": "operator",
        "subject": str(ADA),
        "reason": "operator",
    }


async def test_r22_personal_values_are_shown_on_request(govid: Any, blocked: None) -> None:
    (act,) = await found(govid, "--event", "account.blocked", "--restricted", "--reason", "case 71")
    shown = act["restricted"]
    assert (shown["operator"], shown["stated_reason"]) == ("ops-7", "case 71")
    (again,) = await found(
        govid, "--event", "account.", "--correlation-id", shown["correlation_id"]
    )
    assert again["id"] == act["id"]


@pytest.mark.parametrize("command", [("search",), ("export", "--since", "1h")])
async def test_r22_personal_values_need_a_reason(
    govid: Any, connection: Any, command: tuple[str, ...]
) -> None:
    result = await in_thread(govid, "audit", *command, "--restricted")
    assert (result.exit_code, result.stdout) == (3, "")
    assert await connection.fetchval("SELECT count(*) FROM audit.entry") == 0


@pytest.mark.parametrize("spelling", [ADDRESS, "2001:0DB8:0:0::7"])
async def test_r22_an_address_is_found_by_its_digest_under_every_key(
    connection: Any, spelling: str
) -> None:
    content = msgspec.json.encode({"restricted": {"address": KEYS.digest("address", ADDRESS)}})
    await store(connection, content)
    await store(connection, content.replace(b"address", b"operator"))
    keys = AuditKeys((b"a newer key of 32 bytes or more..", AUDIT.key), AUDIT.origin)
    search = AuditSearch(connection, keys)
    entries = [one async for one in search.find(EntryFilter(address=spelling))]
    assert [one.content for one in entries] == [content]


async def test_r22_all_pages_are_read_in_both_orders(connection: Any) -> None:
    total = 2 * PAGE_ROWS + 7
    rows = [(uuid4(), f"e.{n}", None, b"{}", bytes(32)) for n in range(total)]
    await connection.executemany(STORE, rows)
    search = AuditSearch(connection, KEYS)
    oldest = [one.event async for one in search.find(EntryFilter())]
    newest = [one.event async for one in search.find(EntryFilter(), newest_first=True)]
    limited = [one.event async for one in search.find(EntryFilter(), limit=PAGE_ROWS + 1)]
    assert oldest == [row[1] for row in rows]
    assert (newest, limited) == (oldest[::-1], oldest[: PAGE_ROWS + 1])


@pytest.mark.parametrize(
    "content",
    [
        b"no JSON",
        b"\xff\xfe",
        DEEP,
        b"[" * 10_000,
        b'{"actor": 7, "outcome": "success"}',
        b'{"actor": {"kind": {}}, "outcome": []}',
        b'{"restricted": {"operator": []}}',
        b"9" * 5_000,
        b"",
    ],
    ids=lambda content: content[:12].decode("latin1"),
)
async def test_r22_a_changed_entry_is_shown_as_unreadable(
    govid: Any, connection: Any, content: bytes, tmp_path: Path
) -> None:
    await store(connection, content)
    (entry,) = await found(govid, "--event", "login.failed")
    assert (entry["outcome"], entry["actor"]) == ("unreadable", "unreadable")
    digest = KEYS.digest("operator", "ops-7").encode()
    await store(connection, content + digest)
    assert await found(govid, "--operator", "ops-7") == []
    result = await in_thread(govid, "audit", "export", "--since", "1h")
    assert (result.exit_code, "Traceback" in result.output) == (0, False)


@pytest.mark.parametrize(
    "command", [("search",), ("search", "--json"), ("export", "--since", "1h")]
)
async def test_r22_what_a_terminal_would_interpret_is_escaped(
    govid: Any, connection: Any, command: tuple[str, ...]
) -> None:
    hostile = {"kind": "account\x1b[2J", "id": "\u2028\r\nforged\x00"}
    content = msgspec.json.encode({"actor": hostile, "outcome": "success", "reason": "\u202e\x9b"})
    await store(connection, content, "login.\x1b]0;failed")
    result = await in_thread(govid, "audit", *command)
    assert [one for one in result.output if not one.isprintable() and one not in "\t\n"] == []


async def test_r22_an_export_holds_what_a_verifier_needs(
    govid: Any, blocked: None, connection: Any, tmp_path: Path
) -> None:
    path = tmp_path / "entries.jsonl"
    arguments = ("audit", "export", "--since", "1h", "--output", str(path))
    result = await in_thread(govid, *arguments)
    assert (result.exit_code, result.stdout) == (0, ""), result.output
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    contents = await connection.fetch("SELECT content, mac FROM audit.entry ORDER BY position")
    assert [one["content"].encode() for one in lines] == [row["content"] for row in contents]
    assert [bytes.fromhex(one["mac"]) for one in lines] == [row["mac"] for row in contents]
    assert {one["index"] for one in lines} == {None}
    assert path.stat().st_mode & 0o777 == 0o600


async def test_r22_an_export_shows_the_leaf_of_a_sealed_entry(govid: Any, connection: Any) -> None:
    await store(connection, b"{}")
    await connection.execute(
        "INSERT INTO audit.leaf (index, entry_id, hash) SELECT 0, id, $1 FROM audit.entry",
        hash_leaf(b"{}"),
    )
    result = await in_thread(govid, "audit", "export", "--since", "1h")
    line = json.loads(result.stdout.splitlines()[0])
    assert (line["index"], bytes.fromhex(line["leaf_hash"])) == (0, hash_leaf(b"{}"))


async def test_r22_a_file_is_replaced_only_on_request(
    govid: Any, blocked: None, tmp_path: Path
) -> None:
    path = tmp_path / "entries.jsonl"
    path.write_text("an earlier export")
    arguments = ("audit", "export", "--since", "1h", "--output", str(path))
    refused = await in_thread(govid, *arguments)
    assert (refused.exit_code, path.read_text()) == (3, "an earlier export")
    assert (await in_thread(govid, *arguments, "--force")).exit_code == 0
    assert path.read_text().startswith('{"position":1,')


async def test_r22_a_full_disk_is_named_with_the_file(govid: Any, blocked: None) -> None:
    result = await in_thread(
        govid, "audit", "export", "--since", "1h", "--output", "/dev/full", "--force"
    )
    assert result.exit_code == 1
    assert "/dev/full cannot be written: No space left on device." in result.stderr


async def test_r22_an_export_that_ends_early_names_its_file(
    govid: Any, blocked: None, connection: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("govid.bus.audit.search.PAGE_ROWS", 1)
    original = AuditSearch._add_restricted
    calls: list[int] = []

    async def fail_later(self: AuditSearch, entries: Any) -> Any:
        calls.append(len(entries))
        return await (original(self, entries) if len(calls) < 2 else lose_connection())

    async def lose_connection() -> Any:
        raise ConnectionResetError

    monkeypatch.setattr(AuditSearch, "_add_restricted", fail_later)
    path = tmp_path / "entries.jsonl"
    result = await in_thread(
        govid,
        *("audit", "export", "--since", "1h", "--output", str(path)),
        *("--restricted", "--reason", "case 71"),
    )
    assert result.exit_code != 0
    assert f"After 1 entries the export ended early: {path} is incomplete." in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("search", "--since", "infinity"),
        ("search", "--since", "1h", "--until", "2h"),
        ("search", "--account", "ada@example.com"),
        ("search", "--event", "login\x1b"),
        ("search", "--operator", ""),
        ("search", "--address", "x" * 501),
        ("search", "--limit", "0"),
        ("search", "--limit", "10001"),
        ("search", "--restricted", "--reason", "ada@example.com"),
        ("search", "--restricted", "--reason", "two\nlines"),
        ("search", "--restricted", "--reason", "half \udc80"),
        ("export",),
        ("export", "--since", "9" * 400 + "d"),
        ("export", "--since", "1h", "--output", "/"),
    ],
    ids=ascii,
)
async def test_r22_wrong_options_are_named(
    govid: Any, connection: Any, arguments: tuple[str, ...]
) -> None:
    result = await in_thread(govid, "audit", *arguments)
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    assert "ada@example.com" not in result.output
    assert await connection.fetchval("SELECT count(*) FROM audit.entry") == 0


async def test_r22_without_the_audit_key_no_account_is_changed(
    govid: Any, runner: CliRunner, connection: Any
) -> None:
    await connection.execute(INSERT, ADA)
    runner.env = {**runner.env, "GOVID_AUDIT_KEY": None}
    result = await in_thread(govid, "accounts", "block", str(ADA), *WHY)
    assert (result.exit_code, "GOVID_AUDIT_KEY is not set" in result.stderr) == (3, True)
    assert await connection.fetchval("SELECT status FROM identity.account") == "verified"


async def test_r22_without_the_audit_key_nothing_is_shown(
    runner: CliRunner, outbox: OutboxFixture
) -> None:
    await outbox.emit()
    runner.env = {**runner.env, "GOVID_AUDIT_KEY": None}
    result = await in_thread(lambda *all_: runner.invoke(commands, all_), "audit", "search")
    assert (result.exit_code, result.stdout) == (3, "")
    assert AUDIT_KEY not in result.output

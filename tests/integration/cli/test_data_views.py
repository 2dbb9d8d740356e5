"""Personal data is shown to an operator only after the view was recorded."""

from typing import Any
from uuid import UUID

import msgspec
import pytest
from click.testing import CliRunner

from govid.gateway.cli.commands import commands
from tests.integration.cli.conftest import OutboxFixture, in_thread
from tests.integration.cli.test_accounts import ADA, INSERT

TAIL = ("events", "tail", "--source", "outbox", "--since", "1h", "--no-follow", "--raw")
REASON = ("--reason", "case 71")
VIEWS = [
    (("accounts", "show", str(ADA)), ("accounts show", str(ADA), "")),
    (("accounts", "show", str(ADA), "--json"), ("accounts show", str(ADA), "")),
    ((*TAIL, *REASON), ("events tail --raw", None, "case 71")),
    (("accounts", "block", str(ADA), "--dry-run"), ("accounts show", str(ADA), "")),
    (
        ("accounts", "forgive", str(ADA), "--dry-run", *REASON),
        ("accounts show", str(ADA), "case 71"),
    ),
    (("audit", "search"), ("audit search", None, "")),
    (("audit", "search", "--account", str(ADA), "--json"), ("audit search", str(ADA), "")),
    (("audit", "search", "--restricted", *REASON), ("audit search", None, "case 71")),
    (("audit", "export", "--since", "1h"), ("audit export", None, "")),
    (
        ("audit", "export", "--since", "1h", "--restricted", *REASON),
        ("audit export", None, "case 71"),
    ),
]


@pytest.fixture
def govid(runner: CliRunner) -> Any:
    runner.env = {**runner.env, "GOVID_PSEUDONYM_KEY": "k" * 32}
    return lambda *arguments: runner.invoke(commands, arguments)


@pytest.fixture
async def ada(connection: Any) -> UUID:
    await connection.execute(INSERT, ADA)
    return ADA


async def views(connection: Any) -> list[tuple[str, str | None, str]]:
    rows = await connection.fetch(
        "SELECT payload::text FROM bus.event WHERE type = 'operator.data.viewed' ORDER BY seq"
    )
    payloads = [msgspec.json.decode(row["payload"]) for row in rows]
    return [(one["view"], one.get("accountId"), one["statedReason"]) for one in payloads]


@pytest.mark.parametrize(("arguments", "recorded"), VIEWS, ids=str)
async def test_f13_r22_a_view_is_recorded(
    govid: Any, ada: UUID, connection: Any, arguments: tuple[str, ...], recorded: Any
) -> None:
    result = await in_thread(govid, *arguments)
    assert result.exit_code == 0, result.output
    assert await views(connection) == [recorded]


@pytest.mark.parametrize(("arguments", "recorded"), VIEWS, ids=str)
async def test_f13_r22_what_cannot_be_recorded_is_not_shown(
    govid: Any,
    ada: UUID,
    connection: Any,
    outbox: OutboxFixture,
    arguments: tuple[str, ...],
    recorded: Any,
) -> None:
    await outbox.emit()
    await connection.execute(
        "CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'disk is full' USING ERRCODE = 'disk_full'; END $$"
    )
    await connection.execute(
        "CREATE TRIGGER refused BEFORE INSERT ON bus.event"
        " FOR EACH ROW EXECUTE FUNCTION public.refuse()"
    )
    result = await in_thread(govid, *arguments)
    assert (result.exit_code, result.stdout) == (4, "")
    assert "could not be stored; nothing is shown." in result.stderr

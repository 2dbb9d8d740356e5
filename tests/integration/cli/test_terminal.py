"""Every command on a real terminal: no traceback, ids that can be copied, keys that are heard."""

import os
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import msgspec
import pytest

from tests.audit_entries import AUDIT_KEY
from tests.backends import cluster, terminal
from tests.backends.govid import BASE
from tests.backends.ports import free_port
from tests.backends.terminal import CTRL_C, Screen
from tests.integration.cli.conftest import RELAY, SUBSCRIBER, OutboxFixture
from tests.integration.cli.processes import GOVID, Dev, govid
from tests.integration.cli.test_accounts import ADA, INSERT, SESSION
from tests.unit.cli.terminal_cases import CASES, REASON, SHOWN

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

WIDTHS = (80, 140)


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """A database with a past, and the ids that stand in it."""

    environment: Mapping[str, str]
    lost: UUID
    parked: UUID
    dead: UUID
    pending: UUID
    folder: Path

    account: UUID = ADA

    def run(self, *arguments: str, columns: int, keys: Any = ()) -> Screen:
        """Run `govid` with *arguments*."""
        return terminal.run(
            [*GOVID, *arguments],
            environment=self.environment,
            folder=self.folder,
            columns=columns,
            keys=keys,
        )


@pytest.fixture(scope="module")
def production() -> Iterator[str]:
    """Return the URL of a database as production has one."""
    with cluster.server() as url:
        yield url


@pytest.fixture
async def scene(outbox: OutboxFixture, connection: Any, database_url: str, tmp_path: Path) -> Scene:
    lost = await outbox.emit(ADA)
    await outbox.complete(RELAY, SUBSCRIBER)
    await connection.execute("DELETE FROM bus.receipt WHERE subscriber = $1", SUBSCRIBER)
    parked, dead, pending = [await outbox.emit() for _ in range(3)]
    await outbox.park(SUBSCRIBER, parked)
    await outbox.dead_letter(RELAY, dead)
    await connection.execute(INSERT, ADA)
    await connection.execute(SESSION, ADA)
    return Scene(
        environment={
            "PATH": os.environ["PATH"],
            "GOVID_DATABASE_URL": database_url,
            "GOVID_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
            "GOVID_PSEUDONYM_KEY": "a key for tests, 32 bytes or more",
            "GOVID_AUDIT_KEY": AUDIT_KEY,
            "GOVID_KEY_ENCRYPTION_KEY": "another key for tests, of 32 bytes or more",
        },
        lost=lost,
        parked=parked,
        dead=dead,
        pending=pending,
        folder=tmp_path,
    )


RUNS = [
    (command, columns)
    for command in CASES
    for columns in WIDTHS
    if columns == WIDTHS[0] or command in SHOWN
]


@pytest.mark.parametrize(("command", "columns"), RUNS, ids=str)
async def test_f8_f9_a_command_ends_as_documented_and_breaks_no_id(
    scene: Scene, command: tuple[str, ...], columns: int
) -> None:
    words, keys, code = CASES[command]
    arguments = [word.format(parked=scene.parked, dead=scene.dead, account=ADA) for word in words]
    screen = scene.run(*command, *arguments, columns=columns, keys=keys)
    assert (screen.code, "Traceback" in screen.text, "Error:" in screen.text) == (
        code,
        False,
        False,
    ), screen.text
    ids = [str(getattr(scene, name)) for name in SHOWN.get(command, ())]
    assert [one for one in ids if not screen.shows(one)] == [], screen.text


@pytest.mark.parametrize(
    ("command", "headings"),
    [
        (("config", "show"), ("name", "value", "source")),
        (("config", "show", "--all"), ("name", "value", "source")),
        (("outbox", "groups"), ("subscriber", "state", "reason", "fingerprint", "count")),
        (("outbox", "list"), ("id", "type", "subscriber", "state")),
        (("outbox", "show", "{parked}"), ("subscriber", "state", "reason", "partition", "offset")),
        (
            ("accounts", "show", "{account}"),
            ("kind", "occurred at", "outcome", "operator", "stated reason"),
        ),
    ],
    ids=str,
)
async def test_f9_80_columns_show_what_a_command_is_for(
    scene: Scene, command: tuple[str, ...], headings: tuple[str, ...]
) -> None:
    block = ("accounts", "block", str(ADA), *REASON)
    assert scene.run(*block, columns=80, keys=[("[y/N]:", "y\n")]).code == 0
    words = [word.format(parked=scene.parked, account=ADA) for word in command]
    screen = scene.run(*words, columns=80)
    (head,) = [row for row in screen.rows() if row.startswith(f"{headings[0]}  ")][-1:]
    assert [one for one in headings if f" {one} " not in f" {head} "] == [], screen.text


async def test_f9_80_columns_show_when_a_key_is_due(scene: Scene) -> None:
    empty = scene.run("keys", "list", columns=80)
    assert (empty.code, empty.shows("There is no key yet")) == (0, True), empty.text
    for _ in range(2):
        assert scene.run("keys", "rotate", "--now", *REASON, "--yes", columns=80).code == 0
    screen = scene.run("keys", "list", columns=80)
    (head,) = [row for row in screen.rows() if row.startswith("kid  ")]
    assert head.split()[-3:] == ["state", "due", "at"], screen.text


async def test_f9_every_setting_is_shown_with_its_value_and_its_source(scene: Scene) -> None:
    address = f"https://id.example.org/{'/'.join(map(str, range(40)))}"
    environment = {**scene.environment, "GOVID_PUBLIC_URL": address}
    screen = terminal.run(
        [*GOVID, "config", "show"], environment=environment, folder=scene.folder, columns=80
    )
    rows = screen.rows()
    (first,) = [row for row in rows if row.startswith("GOVID_PUBLIC_URL ")]
    assert first.endswith("environment")
    begins = first.index("https://")
    place = rows.index(first)
    value = "".join(row[begins:].split(" ")[0] for row in rows[place : place + 4])
    assert value.startswith(address)


async def test_f9_check_breaks_no_word(scene: Scene) -> None:
    lines = scene.run("check", columns=80).text.replace("\r\n", "\n").split("\n")
    assert [line for line in lines if len(line) > 80 and " " in line] == []


async def test_f8_ctrl_c_in_a_bar_ends_with_130(scene: Scene, outbox: OutboxFixture) -> None:
    for _ in range(3):
        await outbox.park(SUBSCRIBER, await outbox.emit())
    screen = scene.run(
        *("outbox", "retry", "--subscriber", SUBSCRIBER, *REASON, "--yes", "--rate", "0.1"),
        columns=80,
        keys=[("Retrying", CTRL_C)],
    )
    assert (screen.code, "Traceback" in screen.text) == (130, False), screen.text
    assert screen.shows("the same command again for the rest")


async def test_f8_ctrl_c_at_a_question_ends_with_130(scene: Scene) -> None:
    screen = scene.run(
        *("outbox", "retry", "--id", str(scene.parked), *REASON),
        columns=80,
        keys=[("[y/N]:", CTRL_C)],
    )
    assert (screen.code, "Traceback" in screen.text) == (130, False), screen.text


async def test_f8_simulators_run_until_ctrl_c(scene: Scene) -> None:
    screen = scene.run("simulators", columns=80, keys=[("are simulated on", CTRL_C)])
    assert (screen.code, "Traceback" in screen.text) == (0, False), screen.text


def test_f8_a_closed_terminal_stops_a_demonstration_and_its_database(tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "GOVID_PORT": "0"}
    code = terminal.hang_up(
        [*GOVID, "dev", "--no-seed"], environment=environment, folder=tmp_path, after="Ctrl-C"
    )
    state = msgspec.json.decode((tmp_path / ".govid" / "dev.json").read_bytes())
    is_left = Path(state["postgres_folder"], "postmaster.pid").exists()
    assert (code, state["running"], is_left) == (0, None, False)


@pytest.mark.parametrize(
    ("arguments", "after"),
    [(("serve",), "Ready on"), (("serve", "--workers", "2"), "Starting 2 workers")],
)
def test_f8_a_server_continues_without_its_terminal(
    production: str, tmp_path: Path, arguments: tuple[str, ...], after: str
) -> None:
    port = free_port()
    environment = {
        **BASE,
        "PATH": os.environ["PATH"],
        "GOVID_DATABASE_URL": production,
        "GOVID_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "GOVID_PORT": str(port),
        "GOVID_DRAIN_SECONDS": "0",
    }
    assert govid("migrate", env=environment, cwd=tmp_path).code == 0

    def use_and_stop(pid: int) -> None:
        # Each request writes a line of the log, which the terminal no longer takes. The workers may
        # still be starting: their listener accepts connections before that.
        with httpx.Client(transport=httpx.HTTPTransport(retries=8), timeout=60) as client:
            answers = [client.get(f"http://127.0.0.1:{port}/health/live") for _ in range(2)]
        os.kill(pid, signal.SIGTERM)
        assert [one.status_code for one in answers] == [200, 200]

    code = terminal.hang_up(
        [*GOVID, *arguments],
        environment=environment,
        folder=tmp_path,
        after=after,
        then=use_and_stop,
    )
    assert code == 0


def test_f8_a_closed_terminal_stops_the_simulators(tmp_path: Path) -> None:
    code = terminal.hang_up(
        [*GOVID, "simulators", "--port", "0"],
        environment={"PATH": os.environ["PATH"]},
        folder=tmp_path,
        after="are simulated on",
    )
    assert code == 0


def test_f8_a_demonstration_on_a_terminal(tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "GOVID_PORT": "0"}
    dev = {"environment": environment, "folder": tmp_path, "columns": 80}
    with Dev(tmp_path / ".govid", "--no-seed"):
        seeded = terminal.run(
            [*GOVID, "seed", "--citizens", "3"], keys=[("people? [y/N]:", "y\n")], **dev
        )
        reported = terminal.run([*GOVID, "demo", "register"], **dev)
    shown = terminal.run([*GOVID, "dev"], keys=[("Ctrl-C", CTRL_C)], **dev)
    ends = [(one.code, "Traceback" in one.text) for one in (seeded, reported, shown)]
    assert ends == [(0, False)] * 3, (seeded.text, reported.text, shown.text)


@pytest.mark.parametrize(
    ("name", "temporary"),
    [("my gov id", "."), ("it's mine", "my tmp"), ("größe & co", "."), ("a" * 120, "b" * 120)],
)
def test_f1_a_demonstration_starts_in_a_folder_of_any_name(
    tmp_path: Path, name: str, temporary: str
) -> None:
    folder = tmp_path / name / ".govid"
    folder.parent.mkdir()
    (tmp_path / temporary).mkdir(exist_ok=True)
    with Dev(folder, "--no-seed", TMPDIR=str(tmp_path / temporary)) as dev:
        assert httpx.get(f"{dev.url}/health/ready").status_code == 200
        assert dev.run("outbox", "status").code == 0

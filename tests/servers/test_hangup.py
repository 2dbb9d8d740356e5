"""SIGHUP at `govid serve`: it reloads settings and never ends a process."""

import asyncio
import json
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.backends.govid import Govid
from tests.servers.signals import StartServer, fetch, find_workers, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

LEVEL = "GOVID_LOG_LEVEL"
TOKEN = "GOVID_METRICS_TOKEN"
PASSWORD = "GOVID_KAFKA_SASL_PASSWORD"
SECRET = "Rk3v0QzWmT0rXkCyN5aPbLdEuHs7gF1iOqR4tY9w"
OTHER = "j2v8QzWmT0rXkCyN5aPbLdEuHs7gF1iOqR4tY9wA"
HANGUP_BIT = 1 << (signal.SIGHUP - 1)


def read_events(server: Govid, prefix: str = "settings.") -> list[tuple[str, Any, Any]]:
    """Return the log lines of *server* whose event begins with *prefix*."""
    lines = [one for one in server.log.read_text().splitlines() if one.startswith("{")]
    found = [json.loads(one) for one in lines]
    return [
        (one["message"], one.get("setting"), one.get("reason"))
        for one in found
        if one["message"].startswith(prefix)
    ]


async def wait_for_events(server: Govid, count: int) -> list[tuple[str, Any, Any]]:
    """Wait until *server* has logged *count* results of reloads; return them."""

    async def has_logged() -> bool:
        return len(read_events(server)) >= count

    await wait_until(has_logged)
    return read_events(server)


def handles_hangups(pid: int) -> bool:
    """Return whether the process has a handler of SIGHUP (`SigCgt` of Linux)."""
    status = dict(
        line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
    )
    return bool(int(status["SigCgt"], 16) & HANGUP_BIT)


def write(file: Path, text: str) -> None:
    """Replace the content of *file*."""
    file.write_text(text)


async def test_log_level_and_secrets_are_read_again(start: StartServer, tmp_path: Path) -> None:
    env_file, token_file = tmp_path / ".env", tmp_path / "token"
    write(token_file, SECRET)
    write(env_file, f"{LEVEL}=INFO\n{TOKEN}_FILE={token_file}\n")
    server = start()

    write(env_file, f"{LEVEL}=DEBUG\n{TOKEN}_FILE={token_file}\n")
    write(token_file, OTHER)
    server.signal(signal.SIGHUP)
    events = await wait_for_events(server, 2)
    await fetch(f"{server.url}/health/live")

    async def logs_the_probe() -> bool:
        return '"path":"/health/live"' in server.log.read_text()

    await wait_until(logs_the_probe)
    assert events == [
        ("settings.reloaded", LEVEL, None),
        ("settings.restart_needed", TOKEN, None),
    ]
    log = server.log.read_text()
    assert (SECRET in log, OTHER in log) == (False, False)


async def test_a_new_password_for_kafka_needs_no_restart(
    start: StartServer, tmp_path: Path
) -> None:
    env_file, password_file = tmp_path / ".env", tmp_path / "password"
    settings = (
        "GOVID_KAFKA_SECURITY_PROTOCOL=SASL_SSL\nGOVID_KAFKA_SASL_USERNAME=govid\n"
        f"{PASSWORD}_FILE={password_file}\n"
    )
    write(password_file, SECRET)
    write(env_file, settings)
    server = start()
    write(password_file, OTHER)
    server.signal(signal.SIGHUP)
    await wait_for_events(server, 1)
    # Another file is another matter: the clients read the one of the start.
    write(env_file, settings.replace(str(password_file), f"{password_file}.new"))
    write(Path(f"{password_file}.new"), SECRET)
    server.signal(signal.SIGHUP)
    assert await wait_for_events(server, 2) == [
        ("settings.reloaded", PASSWORD, None),
        (
            "settings.reload_refused",
            PASSWORD,
            "a value or the path of a file has changed: restart govid",
        ),
    ]
    log = server.log.read_text()
    assert (SECRET in log, OTHER in log) == (False, False)


@pytest.mark.parametrize(
    ("invalid", "reason"),
    [
        (
            f"{LEVEL}=LOUDER",
            f"{LEVEL} (.env): input should be 'DEBUG', 'INFO', 'WARNING' or 'ERROR'",
        ),
        (
            f"{LEVEL}=DEBUG\nGOVID_CORS_ORIGINS=*",
            "GOVID_CORS_ORIGINS allows any origin",
        ),
    ],
)
async def test_a_broken_value_changes_nothing(
    start: StartServer, tmp_path: Path, invalid: str, reason: str
) -> None:
    env_file = tmp_path / ".env"
    write(env_file, f"{LEVEL}=WARNING\n")
    server = start()
    write(env_file, f"{invalid}\n")
    server.signal(signal.SIGHUP)
    await wait_for_events(server, 1)
    write(env_file, f"{LEVEL}=WARNING\n")
    server.signal(signal.SIGHUP)
    assert await wait_for_events(server, 2) == [
        ("settings.reload_refused", None, reason),
        ("settings.unchanged", None, None),
    ]
    assert (await fetch(f"{server.url}/health/ready")).status_code == 200
    assert "LOUDER" not in server.log.read_text()


async def test_hangups_during_the_start_are_handled_after_it(
    start: StartServer, tmp_path: Path
) -> None:
    write(tmp_path / ".env", f"{LEVEL}=INFO\n")
    starting = asyncio.create_task(asyncio.to_thread(start))

    async def is_handled() -> bool:
        return any(map(handles_hangups, _serving_pids(tmp_path)))

    await wait_until(is_handled)
    (pid,) = _serving_pids(tmp_path)
    psutil.Process(pid).send_signal(signal.SIGHUP)
    psutil.Process(pid).send_signal(signal.SIGHUP)
    was_starting = not starting.done()
    server = await starting
    assert was_starting
    assert await wait_for_events(server, 1) == [("settings.unchanged", None, None)]
    assert server.pid == pid


def _serving_pids(folder: Path) -> list[int]:
    """Return the processes of this test that run in *folder*."""
    found = []
    for process in psutil.Process().children():
        try:
            if process.cwd() == str(folder):
                found.append(process.pid)
        except psutil.NoSuchProcess:
            continue
    return found


async def test_hangups_at_the_supervisor_reach_all_workers_and_end_none(
    start: StartServer, tmp_path: Path
) -> None:
    env_file = tmp_path / ".env"
    write(env_file, f"{LEVEL}=INFO\n")
    server = start(workers=2)

    async def both_handle() -> bool:
        return sum(handles_hangups(one.pid) for one in find_workers(server)) == 2

    # The other worker may still import its code: a hangup must not end it either.
    server.signal(signal.SIGHUP)
    await wait_until(both_handle)
    workers = {one.pid for one in find_workers(server)}
    await wait_for_events(server, 2)
    before = len(read_events(server))
    write(env_file, f"{LEVEL}=WARNING\n")
    server.signal(signal.SIGHUP)
    server.signal(signal.SIGHUP)

    async def both_have_reloaded() -> bool:
        return read_events(server).count(("settings.reloaded", LEVEL, None)) == 2

    await wait_until(both_have_reloaded)
    assert {name for name, *_ in read_events(server)[:before]} == {"settings.unchanged"}
    assert {one.pid for one in find_workers(server)} == workers
    assert (await fetch(f"{server.url}/health/ready")).status_code == 200
    assert "another one takes its place" not in server.log.read_text()

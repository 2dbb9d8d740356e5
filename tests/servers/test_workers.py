"""The supervisor of `govid serve --workers N` replaces workers that end or freeze."""

import asyncio
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest
from uvicorn.config import STARTUP_FAILURE

from govid.gateway.cli.errors import CommandError
from govid.gateway.cli.serving.uvicorn_server import GracefulServer
from govid.gateway.cli.serving.workers import END_SIGNAL, Replacement, WorkerSupervisor
from govid.gateway.settings import SettingsError
from tests.backends.govid import Govid
from tests.backends.ports import free_port
from tests.servers.signals import (
    StartServer,
    fetch,
    find_workers,
    wait_until,
    wait_until_ready,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM, END_SIGNAL])
async def test_a_worker_that_ends_or_freezes_is_replaced(
    start: StartServer, number: signal.Signals
) -> None:
    management = free_port()
    server = start(2, GOVID_MANAGEMENT_PORT=str(management))
    urls = [f"http://127.0.0.1:{port}" for port in (management, management + 1)]
    await wait_until_ready(*urls)
    victim, other = find_workers(server)
    victim.send_signal(number)

    async def is_replaced() -> bool:
        return not victim.is_running() and len(find_workers(server)) == 2

    await wait_until(is_replaced)
    await wait_until_ready(*urls)
    assert other in find_workers(server)
    assert f"Worker {victim.pid} has ended" in server.log.read_text()


HOSTS = "GOVID_ALLOWED_HOSTS"
PLAINTEXT = "GOVID_KAFKA_ALLOW_PLAINTEXT"


@pytest.fixture
def from_file(production_url: str, tmp_path: Path) -> Iterator[tuple[Govid, int]]:
    """Return two workers that read some settings from `.env`, and their first management port."""
    management = free_port()
    server = Govid(
        tmp_path,
        database_url=production_url,
        kafka="127.0.0.1:1",
        extra={"GOVID_MANAGEMENT_PORT": str(management)},
        workers=2,
    )
    moved = {name: server.environment.pop(name) for name in (HOSTS, PLAINTEXT)}
    (tmp_path / ".env").write_text("".join(f"{name}={moved[name]}\n" for name in moved))
    with server:
        yield server, management


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (f"{HOSTS}=*\n{PLAINTEXT}=true\n", f"{HOSTS} allows any host"),
        (f"{HOSTS}=127.0.0.1\n", "Kafka is reached without encryption"),
        (f"{HOSTS}=127.0.0.1\n{PLAINTEXT}=LOUDER\n", f"{PLAINTEXT} (.env): input should be"),
    ],
)
async def test_a_replaced_worker_obeys_the_rules_of_the_start(
    from_file: tuple[Govid, int], tmp_path: Path, settings: str, reason: str
) -> None:
    (server, management), env_file = from_file, tmp_path / ".env"
    urls = [f"http://127.0.0.1:{port}" for port in (management, management + 1)]
    await wait_until_ready(*urls)
    safe = env_file.read_text()
    env_file.write_text(settings)
    victim, other = find_workers(server)
    victim.kill()

    await wait_until(partial(_has_logged, server, reason))
    answers = [await fetch(f"{server.url}/health/live") for _ in range(10)]
    evil = await fetch(f"{server.url}/api/auth/profile", {"Host": "evil.example"})
    assert {one.status_code for one in answers} == {200}
    assert evil.status_code == 421
    env_file.write_text(safe)
    await wait_until_ready(*urls)
    log = " ".join(server.log.read_text().split())
    assert other in find_workers(server)
    assert (log.count(reason), log.count("Traceback"), log.count("LOUDER")) == (1, 0, 0)


async def _has_logged(server: Govid, text: str) -> bool:
    """Return whether the log of *server* has *text*, however its lines are wrapped."""
    return text in " ".join(server.log.read_text().split())


async def test_workers_stop_in_good_order_when_their_supervisor_was_killed(
    start: StartServer,
) -> None:
    server = start(2, GOVID_MANAGEMENT_PORT=str(management := free_port()))
    await wait_until_ready(*(f"http://127.0.0.1:{management + n}" for n in range(2)))
    workers = find_workers(server)
    server.kill()
    _, alive = await asyncio.to_thread(psutil.wait_procs, workers, 30)
    assert alive == []
    assert "Traceback" not in server.log.read_text()
    server.start()
    await wait_until_ready(server.url)


async def test_a_worker_that_still_starts_ends_with_its_supervisor(start: StartServer) -> None:
    server = start(2, GOVID_MANAGEMENT_PORT=str(management := free_port()))
    await wait_until_ready(*(f"http://127.0.0.1:{management + n}" for n in range(2)))
    victim, _ = find_workers(server)
    victim.kill()

    async def has_begun() -> bool:
        return len(find_workers(server)) == 2

    await wait_until(partial(_has_logged, server, "another one takes its place"))
    await wait_until(has_begun)
    workers = find_workers(server)
    server.kill()
    _, alive = await asyncio.to_thread(psutil.wait_procs, workers, 30)
    assert alive == []


@pytest.fixture
def _restored_signals() -> Iterator[None]:
    """Restore the handlers of the signals that a supervisor handles."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    handlers = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, handlers, strict=True):
        signal.signal(number, handler)


def fail_to_start(number: int, ready: Callable[[], None]) -> GracefulServer:
    """End the first worker as a server does whose application does not start; others start on."""
    del ready
    if number == 0:
        sys.exit(STARTUP_FAILURE)
    while True:
        signal.pause()


@pytest.mark.usefixtures("_restored_signals")
def test_workers_that_cannot_start_end_the_command() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        supervisor = WorkerSupervisor(fail_to_start, 2, listener)
        with pytest.raises(CommandError, match="a worker did not start"):
            supervisor.run()
    # The first failure ends the others, which have not started yet.
    assert [worker.exitcode for worker in supervisor._workers] == [STARTUP_FAILURE, -signal.SIGTERM]


def refuse_settings(number: int, ready: Callable[[], None]) -> GracefulServer:
    """Refuse the settings."""
    del ready
    raise SettingsError([f"GOVID_X of {number} is not safe"])


@pytest.mark.usefixtures("_restored_signals")
def test_the_reason_of_refused_settings_ends_the_command(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        supervisor = WorkerSupervisor(refuse_settings, 1, listener)
        with pytest.raises(CommandError, match="a worker did not start: GOVID_X of 0 is not safe"):
            supervisor.run()
    assert capfd.readouterr() == ("", "")


def test_attempts_to_replace_a_worker_become_rare() -> None:
    attempts = [Replacement.after(None, "a reason", 0)]
    attempts += [Replacement.after(attempts[0], "a reason", 0)]
    later = Replacement("a reason", 40, 0)
    assert [one.due_at for one in attempts] == [1, 2]
    assert Replacement.after(later, "another", 100) == Replacement("another", 60, 160)

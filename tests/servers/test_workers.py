"""The supervisor of `govid serve --workers N` replaces workers that end or freeze."""

import signal
import socket
import sys
from collections.abc import Iterator

import pytest
from uvicorn.config import STARTUP_FAILURE

from govid.gateway.cli.errors import CommandError
from govid.gateway.cli.serving.uvicorn_server import GracefulServer
from govid.gateway.cli.serving.workers import END_SIGNAL, WorkerSupervisor
from tests.backends.ports import free_port
from tests.servers.signals import StartServer, find_workers, wait_until, wait_until_ready

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


@pytest.fixture
def _restored_signals() -> Iterator[None]:
    """Restore the handlers of the signals that a supervisor handles."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    handlers = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, handlers, strict=True):
        signal.signal(number, handler)


def fail_to_start(number: int) -> GracefulServer:
    """End the worker as a server does whose application does not start."""
    del number
    sys.exit(STARTUP_FAILURE)


@pytest.mark.usefixtures("_restored_signals")
def test_workers_that_cannot_start_end_the_command() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        supervisor = WorkerSupervisor(fail_to_start, 2, listener)
        with pytest.raises(CommandError, match="a worker did not start"):
            supervisor.run()
    assert [worker.exitcode for worker in supervisor._workers] == [STARTUP_FAILURE] * 2

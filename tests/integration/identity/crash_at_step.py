"""Kills a server at the n-th step of its handling of a notice of death.

A step is what lies between two awaits; both ends of each await count, so a statement is cut off
both when it has been sent and when it has been answered, and nothing else has been done yet.

    python -m tests.integration.identity.crash_at_step DATABASE_URL

reads the number of a step a line, lets a server live until then, and writes how it ended: -9, or 0
if the notice was handled before. The servers are forks of one that is built and has not started.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self

from govid.bus.delivery.dispatcher import Dispatcher
from govid.gateway.settings import load_from_environment
from govid.gateway.wiring import Components, assemble_components

SUBSCRIBER = "identity.lifecycle"
NEVER = 0
KEY = "k" * 32
PENDING = "SELECT count(*) FROM bus.delivery WHERE subscriber = $1"


class CrashingCoroutine(Coroutine[Any, Any, Any]):
    """A coroutine at whose n-th step the process dies."""

    def __init__(self, inner: Coroutine[Any, Any, Any], last_step: int) -> None:
        self._inner = inner
        self._steps_left = last_step

    def send(self, value: Any) -> Any:
        self._step()
        awaited = self._inner.send(value)
        self._step()
        return awaited

    def throw(self, *error: Any) -> Any:
        return self._inner.throw(*error)

    def close(self) -> None:
        self._inner.close()

    def __await__(self) -> Any:
        raise NotImplementedError

    def _step(self) -> None:
        self._steps_left -= 1
        if self._steps_left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


async def serve_until_handled(components: Components, last_step: int) -> None:
    """Serve until the notice is handled, or until the last step of that."""
    loop = asyncio.get_running_loop()

    def employ(_: Any, work: Any, **more: Any) -> asyncio.Task[Any]:
        if getattr(work, "__qualname__", "") == Dispatcher._supervise.__qualname__:
            serves = work.cr_frame.f_locals["self"]._subscriber.name
            work = CrashingCoroutine(work, last_step) if serves == SUBSCRIBER else work
        return asyncio.Task(work, loop=loop, **more)

    loop.set_task_factory(employ)
    await components.bus.start()
    while await components.bus.database.reads.fetchval(PENDING, SUBSCRIBER):
        await asyncio.sleep(0.02)
    os._exit(0)


class StepCrasher:
    """The process, from outside."""

    def __init__(self, database_url: str) -> None:
        self._database_url = database_url

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            __name__,
            self._database_url,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()

    async def crash_at(self, step: int) -> int:
        """Let a server live until *step*; return its exit code."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{step}\n".encode())
        return int(await self._process.stdout.readline())


def main(database_url: str) -> None:
    components = assemble_components(
        load_from_environment({"GOVID_DATABASE_URL": database_url, "GOVID_PSEUDONYM_KEY": KEY})
    )
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            asyncio.run(serve_until_handled(components, int(line)))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201 - its answer


if __name__ == "__main__":
    main(sys.argv[1])

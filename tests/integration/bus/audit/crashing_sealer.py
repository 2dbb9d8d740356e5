"""A process that seals the log of a database once, and is killed at one step."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

from govid.bus import BusSettings, Database
from govid.bus.audit import sealer
from govid.bus.audit.checkpoint_file import CheckpointFile
from govid.bus.events import AuditCheckpointSealed
from tests.integration.bus.audit.sealed_log import SealedLog

STEPS = (
    "before append",
    "after append",
    "before commit",
    "after commit",
    "before the file is replaced",
    "after the file is replaced",
)


def die(*_: Any, **_more: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def patch_step(log: SealedLog, step: str) -> None:
    """Make one step of the sealer of *log* end this process."""
    match step:
        case "before append":
            patch.object(sealer, "load_accumulator", die).start()
        case "after append":
            patch.object(log.keys.note_signer, "sign", die).start()
        case "before the file is replaced":
            patch.object(Path, "replace", die).start()
        case "after the file is replaced":
            replace = CheckpointFile._replace

            def replace_and_die(self: CheckpointFile, note: str) -> None:
                replace(self, note)
                die()

            patch.object(CheckpointFile, "_replace", replace_and_die).start()


async def main(database_url: str, file: str, step: str) -> None:
    settings = BusSettings(
        database_url=database_url, kafka_bootstrap_servers="127.0.0.1:1", pseudonym_key=b"k" * 32
    )
    async with Database(settings) as database:
        log = SealedLog(settings, database)
        patch_step(log, step)

        async def emit_and_die(
            connection: Any, event: AuditCheckpointSealed, now: datetime
        ) -> Sequence[str]:
            addressees = await log.emit(connection, event, now)
            die()
            return addressees

        emit = emit_and_die if step == "before commit" else log.emit
        notify: Callable[[Any], None] = die if step == "after commit" else (lambda _: None)
        await log.build_sealer(Path(file), emit=emit, notify=notify).run_once()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:4]))

"""`govid outbox verify` as an operator runs it: a process, its settings, its output."""

import asyncio
import os
import sys
from collections.abc import Mapping
from multiprocessing.context import ForkServerContext
from pathlib import Path

import msgspec

from govid.bus import BusSettings
from govid.bus.contracts import Topic
from govid.gateway.cli import main as govid

OUTPUT = "verify.json"
LOOK_SECONDS = 0.05


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """What verify said, as far as the rig wants to know."""

    exit_code: int = 0
    events: int = 0
    found: int = -1
    """How many faults it found; -1 if it did not come so far."""

    @property
    def clean(self) -> bool:
        """Tell whether it proved everything."""
        return self.exit_code == 0 and self.found == 0


async def verify(
    nursery: ForkServerContext, settings: BusSettings, address: str, folder: Path
) -> Proof:
    """Run the command in *folder* on the database of *settings* and the Kafka at *address*."""
    environment = {
        "GOVID_DATABASE_URL": settings.database_url,
        "GOVID_KAFKA_BOOTSTRAP_SERVERS": address,
        "GOVID_VERIFICATION_REQUEST_TOPIC": settings.wire_name(Topic.VERIFICATION_REQUEST),
        "GOVID_VERIFICATION_RESULT_TOPIC": settings.wire_name(Topic.VERIFICATION_RESULT),
        "GOVID_DEATH_NOTIFICATION_TOPIC": settings.wire_name(Topic.DEATH_NOTIFICATION),
    }
    process = nursery.Process(target=run, args=(environment, folder), daemon=True)
    process.start()
    while process.is_alive():
        await asyncio.sleep(LOOK_SECONDS)
    said = (folder / OUTPUT).read_bytes()
    try:
        report = msgspec.json.decode(said, type=Proof)
    except msgspec.DecodeError:
        report = Proof()
    return msgspec.structs.replace(report, exit_code=process.exitcode or 0)


def run(environment: Mapping[str, str], folder: Path) -> None:
    """Be the command: this process is nothing else."""
    os.environ.update(environment)
    os.chdir(folder)
    output = os.open(folder / OUTPUT, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    errors = os.open(folder / "verify.log", os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(errors, 2)
    sys.argv = ["govid", "outbox", "verify", "--json"]
    govid()

"""Commands of govid as an operator runs them: a process, its settings, its output."""

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import NamedTuple

import msgspec

from govid.bus import BusSettings
from govid.bus.events import Topic
from govid.gateway.cli import main as govid
from tests.audit_entries import AUDIT_KEY

VERIFY = ("outbox", "verify", "--json")
PUBLISH_AGAIN = ("outbox", "replay", "--unproved", "--reason", "a topic was deleted", "--yes")
ACCEPT_GAP = ("topics", "accept-gap")
ACCEPTED = ("--reason", "they are not sent again", "--yes")
LOOK_SECONDS = 0.05


class Gap(NamedTuple):
    """Records of a partition that govid could not read, as `verify` names them."""

    topic: str
    partition: int
    first: int
    count: int

    def holds(self, place: tuple[str, int, int]) -> bool:
        """Tell whether the record at *place* is one of them."""
        topic, partition, offset = place
        within = self.first <= offset < self.first + self.count
        return within and (topic, partition) == (self.topic, self.partition)


class Finding(msgspec.Struct, frozen=True):
    """One fault that `verify` found, as far as the rig wants to know."""

    problem: str
    place: str | None = None
    count: int | None = None


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """What verify said, as far as the rig wants to know."""

    exit_code: int = 0
    events: int = 0
    found: int = -1
    """How many faults it found; -1 if it did not come so far."""
    findings: list[Finding] = []

    @property
    def gaps(self) -> list[Gap]:
        """Return the inbound records that it says were removed unread."""
        named = [f for f in self.findings if f.problem == "inbound_removed"]
        places = [((f.place or "").rsplit("/", 2), f.count or 0) for f in named]
        return [Gap(topic, int(part), int(first), n) for (topic, part, first), n in places]

    @property
    def clean(self) -> bool:
        """Tell whether it proved everything."""
        return self.exit_code == 0 and self.found == 0


async def verify(
    fork_server: ForkServerContext, settings: BusSettings, address: str, folder: Path
) -> Proof:
    """Run `govid outbox verify` on the database of *settings* and the Kafka at *address*."""
    exit_code, said = await command(fork_server, settings, address, folder, VERIFY)
    try:
        report = msgspec.json.decode(said, type=Proof)
    except msgspec.DecodeError:
        report = Proof()
    return msgspec.structs.replace(report, exit_code=exit_code)


async def command(
    fork_server: ForkServerContext,
    settings: BusSettings,
    address: str,
    folder: Path,
    words: Sequence[str],
) -> tuple[int, bytes]:
    """Run a command on the database of *settings* and the Kafka at *address*; see `run_command`."""
    environment = {
        "GOVID_DATABASE_URL": settings.database_url,
        "GOVID_AUDIT_KEY": AUDIT_KEY,
        "GOVID_AUDIT_ORIGIN": settings.audit.origin,
        "GOVID_KAFKA_BOOTSTRAP_SERVERS": address,
        "GOVID_VERIFICATION_REQUEST_TOPIC": settings.wire_name(Topic.VERIFICATION_REQUEST),
        "GOVID_VERIFICATION_RESULT_TOPIC": settings.wire_name(Topic.VERIFICATION_RESULT),
        "GOVID_DEATH_NOTIFICATION_TOPIC": settings.wire_name(Topic.DEATH_NOTIFICATION),
    }
    return await run_command(fork_server, environment, folder, words)


async def run_command(
    fork_server: ForkServerContext,
    environment: Mapping[str, str],
    folder: Path,
    words: Sequence[str],
) -> tuple[int, bytes]:
    """Run a command of govid in *folder*; return its exit code and what it printed."""
    process = fork_server.Process(target=run, args=(environment, folder, words), daemon=True)
    process.start()
    while process.is_alive():
        await asyncio.sleep(LOOK_SECONDS)
    return process.exitcode or 0, _file(folder, words, "out").read_bytes()


def _file(folder: Path, words: Sequence[str], suffix: str) -> Path:
    return folder / f"{words[1]}.{suffix}"


def run(environment: Mapping[str, str], folder: Path, words: Sequence[str]) -> None:
    """Be the command: this process is nothing else."""
    os.environ.update(environment)
    os.chdir(folder)
    output = os.open(_file(folder, words, "out"), os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    errors = os.open(_file(folder, words, "log"), os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(errors, 2)
    sys.argv = ["govid", *words]
    govid()

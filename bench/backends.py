"""The backends of one measurement: PostgreSQL, Kafka, and a govid with people in it."""

import asyncio
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx

from tests.backends import cluster, kafka
from tests.backends.govid import Govid
from tests.backends.processes import CLIENT_CORE
from tests.faults.registrants import RegistrationLoad, build_applicants, sign_in

NO_KAFKA = "127.0.0.1:1"
"""An address at which no Kafka listens."""


class Backends(NamedTuple):
    """Where the servers of this measurement are."""

    postgres: str
    kafka: str
    has_kafka: bool


@contextmanager
def backends() -> Iterator[Backends]:
    """Yield fresh backends. Without a Kafka on this machine, govid is measured in its outage."""
    with ExitStack() as stack:
        postgres = stack.enter_context(cluster.server())
        try:
            address = stack.enter_context(kafka.own()).address
        except kafka.Unavailable as reason:
            print(f"Measured without Kafka: {reason}", file=sys.stderr)
            yield Backends(postgres, NO_KAFKA, has_kafka=False)
        else:
            yield Backends(postgres, address, has_kafka=True)


@contextmanager
def beside_the_servers() -> Iterator[None]:
    """Keep this process, and what it starts, off the core of the servers that are measured."""
    before = os.sched_getaffinity(0)
    if CLIENT_CORE in before and len(before) > 1:
        os.sched_setaffinity(0, {CLIENT_CORE})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def govid(
    where: Backends,
    folder: Path,
    database: str,
    *,
    core: int | None = None,
    extra: Mapping[str, str] | None = None,
) -> Iterator[Govid]:
    """Run a govid on a migrated database of its own."""
    url = cluster.create(where.postgres, database)
    server = Govid(folder, database_url=url, kafka=where.kafka, core=core, extra=extra)
    server.migrate()
    with server:
        yield server


async def register(url: str, count: int) -> list[str]:
    """Register people; return a token of each."""
    people = build_applicants(count, group="bench")
    await RegistrationLoad(url, people).register()
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        headers = [await sign_in(client, one.email) for one in people]
    return [each["Authorization"].removeprefix("Bearer ") for each in headers]


def registered(url: str, count: int) -> list[str]:
    """Do the same where no event loop runs."""
    return asyncio.run(register(url, count))

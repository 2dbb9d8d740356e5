"""The backends of one measurement: PostgreSQL, Kafka, and a govid with people in it."""

import asyncio
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode

import httpx

from tests.backends import cluster, kafka
from tests.backends.certificates import CertificateAuthority
from tests.backends.debian_postgres import debian_server, encrypt, missing
from tests.backends.govid import Govid
from tests.backends.processes import CLIENT_CORE
from tests.faults.registrants import RegistrationLoad, build_applicants, sign_in

NO_KAFKA = "127.0.0.1:1"
"""An address at which no Kafka listens."""
WITH_OR_WITHOUT_TLS = "host all all 127.0.0.1/32 scram-sha-256\n"


class Backends(NamedTuple):
    """Where the servers of this measurement are."""

    postgres: str
    kafka: str
    has_kafka: bool


@contextmanager
def backends() -> Iterator[Backends]:
    """Yield fresh backends. Without a Kafka on this machine, govid is measured in its outage."""
    with cluster.server() as postgres, _kafka() as (address, has_kafka):
        yield Backends(postgres, address, has_kafka)


@contextmanager
def tls_backends(folder: Path) -> Iterator[tuple[Backends, str]]:
    """Yield fresh backends, and the URL parameters of a TLS connection to their PostgreSQL.

    It accepts connections without TLS too. The certificate of its authority is in *folder*. It is
    Debian's, because the other one is built without TLS.

    Raises:
        Unavailable: Debian's PostgreSQL is missing.
    """
    if lacking := missing():
        raise kafka.Unavailable(f"TLS to PostgreSQL needs {', '.join(lacking)}")
    authority = CertificateAuthority("bench")
    file = folder / "authority.crt"
    file.write_bytes(authority.pem)
    with (
        debian_server(max_connections="200", shared_buffers="128MB") as server,
        _kafka() as (address, has_kafka),
    ):
        encrypt(server, authority.issue("postgres", "127.0.0.1"), rules=WITH_OR_WITHOUT_TLS)
        demanded = urlencode({"sslmode": "verify-full", "sslrootcert": str(file)})
        yield Backends(server.url(), address, has_kafka), demanded


@contextmanager
def _kafka() -> Iterator[tuple[str, bool]]:
    """Yield the address of a fresh Kafka and True, or one at which no Kafka listens and False."""
    with ExitStack() as stack:
        try:
            broker = stack.enter_context(kafka.own())
        except kafka.Unavailable as reason:
            print(f"Measured without Kafka: {reason}", file=sys.stderr)
            yield NO_KAFKA, False
        else:
            yield broker.address, True


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

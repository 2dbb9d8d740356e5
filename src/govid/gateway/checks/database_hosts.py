"""Checks each host of GOVID_DATABASE_URL if it has several: one of them has to be the primary.

A primary that was replaced, and is started again as it was, accepts writes beside the new one. The
commits of each are missing in the other, and processes that start take the first in the list.
"""

import asyncio
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from govid.bus.storage.connection import (
    IS_READ_ONLY,
    ConnectionFactory,
    InvalidConnectionUrl,
    format_host,
)
from govid.bus.storage.connection_failures import describe_connection_error
from govid.bus.storage.errors import DRIVER_ERRORS
from govid.bus.storage.server_history import WalPosition, fetch_position
from govid.gateway.checks.connections import build_check_factory

_INSTANCE = f"SELECT ({IS_READ_ONLY}) AS is_read_only, pg_postmaster_start_time() AS started_at"


class HostState(NamedTuple):
    """What one host of the URL is. `position` is None if its server does not tell it."""

    host: str
    failure: str | None = None
    accepts_writes: bool = False
    started_at: datetime | None = None
    position: WalPosition | None = None

    @property
    def server(self) -> tuple[object, ...]:
        """What two names of the same server have in common."""
        return (self.started_at, *(self.position or ())[:2])

    def __str__(self) -> str:
        """Return the host and, if it is known, the timeline of its server."""
        if self.position is None:
            return self.host
        return f"{self.host} (timeline {int(self.position.timeline, 16)})"


async def inspect_hosts(database_url: str) -> Sequence[HostState]:
    """Return the state of each host of *database_url*; nothing if it has fewer than two."""
    try:
        factory = build_check_factory(database_url)
    except InvalidConnectionUrl:
        return ()
    hosts = factory.url.hosts
    if len(hosts) < 2:  # noqa: PLR2004 - several
        return ()
    return await asyncio.gather(
        *(_inspect(format_host(host), factory.select_host(host)) for host in hosts)
    )


async def _inspect(name: str, factory: ConnectionFactory) -> HostState:
    try:
        connection = await factory.connect()
        try:
            row = await connection.fetchrow(_INSTANCE)
            return HostState(
                host=name,
                accepts_writes=not row["is_read_only"],
                started_at=row["started_at"],
                position=await fetch_position(connection),
            )
        finally:
            await connection.close()
    except DRIVER_ERRORS as error:
        reason = describe_connection_error(error)
        return HostState(host=name, failure=reason if name in reason else f"{name}: {reason}")


def primary_problems(states: Collection[HostState]) -> list[str]:
    """Return a problem if hosts lead to different servers that accept writes."""
    primaries = [one for one in states if one.accepts_writes]
    if len({one.server for one in primaries}) < 2:  # noqa: PLR2004 - several
        return []
    names = ", ".join(map(str, primaries))
    text = (
        f"{len(primaries)} hosts of GOVID_DATABASE_URL accept writes: {names}. Each has commits "
        "that the other lacks: stop the one that was replaced, usually that of the lower timeline, "
        "and make it a standby before it starts again (docs/operations.md, Fail-over)"
    )
    return [text]


def host_warnings(states: Collection[HostState]) -> list[str]:
    """Return a warning about each host that cannot take over, as it cannot be reached."""
    return [
        f"{one.failure}: GOVID_DATABASE_URL names it, and no fail-over to it is possible"
        for one in states
        if one.failure is not None
    ]

"""A primary with a synchronous standby behind one address that leads to the current primary."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager

from sqlalchemy import make_url

from tests.backends import postgres
from tests.backends.debian_postgres import DebianServer, debian_server, standby_of
from tests.chaos.proxy import Proxy

HOST = "127.0.0.1"


class FailoverPair:
    """Two servers of Debian's PostgreSQL, and the address at which their clients find them."""

    def __init__(self, primary: DebianServer, standby: DebianServer, address: Proxy) -> None:
        """Begin with *primary*, to which *address* leads."""
        self._primary = primary
        self._standby = standby
        self._address = address

    def fail_over(self, mode: str) -> None:
        """Stop the primary by *mode*, as `pg_ctl` calls it, and promote the standby."""
        self._primary.stop(mode)
        self._standby.promote()
        self._address.lead_to(HOST, self._standby.port)


@asynccontextmanager
async def failover_pair() -> AsyncIterator[tuple[FailoverPair, str]]:
    """Yield a pair, and the URL of a migrated database on it that stays right all the time."""
    async with AsyncExitStack() as stack:
        # They wait for their programs, and would stop this loop meanwhile.
        servers = ExitStack()
        stack.push_async_callback(asyncio.to_thread, servers.close)
        primary = await asyncio.to_thread(
            servers.enter_context, debian_server(max_connections="200")
        )
        template = await asyncio.to_thread(postgres.prepare_template, primary.url())
        database = await postgres.clone(primary.url(), template)
        standby = await asyncio.to_thread(servers.enter_context, standby_of(primary))
        await primary.execute(
            "ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()"
        )
        address = await stack.enter_async_context(Proxy(HOST, primary.port))
        url = make_url(database).set(host=HOST, port=address.port)
        yield (
            FailoverPair(primary, standby, address),
            url.render_as_string(hide_password=False),
        )

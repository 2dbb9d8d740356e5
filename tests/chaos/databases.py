"""PostgreSQL as operators secure it: the service connects by TLS and may do its work only.

The roles are those of `govid migrate --database-roles` (ADR-0039). One login migrates, another one
is a member of the application's role. The rig itself uses a superuser. A run that fails over has a
primary with a synchronous standby, behind one address that leads to the current primary.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from multiprocessing.context import ForkServerContext
from pathlib import Path

from sqlalchemy import make_url

from govid.gateway.database_roles import DatabaseRoles
from tests.backends import postgres
from tests.backends.certificates import CertificateAuthority
from tests.backends.debian_postgres import (
    ADMINISTRATOR,
    DebianServer,
    debian_server,
    encrypt,
    standby_of,
)
from tests.chaos.operator_commands import run_command
from tests.chaos.proxy import Proxy

HOST = "127.0.0.1"
TEMPLATE = "govid_template"
ROLES = DatabaseRoles()
DEPLOYMENT = "govid_deploy"
APPLICATION = "govid_web"
RULES = f"""
host all {ADMINISTRATOR} {HOST}/32 scram-sha-256
host replication {ADMINISTRATOR} {HOST}/32 scram-sha-256
hostssl all all {HOST}/32 scram-sha-256
"""
MIGRATE = ("migrate", "--database-roles")
CREATE = f"CREATE DATABASE {TEMPLATE} OWNER {DEPLOYMENT}"


@contextmanager
def secured_postgres(
    authority: CertificateAuthority, fork_server: ForkServerContext
) -> Iterator[DebianServer]:
    """Yield a server with a certificate of *authority*, both logins, and the database `TEMPLATE`.

    Raises:
        RuntimeError: the migration failed.
    """
    with debian_server(max_connections="200") as server:
        encrypt(server, authority.issue("postgres", HOST), rules=RULES)
        asyncio.run(_prepare_template(server, authority, fork_server))
        yield server


def demand_tls(url: str, user: str, authorities: Path) -> str:
    """Return *url* for *user*, who verifies the server by the file *authorities*."""
    parameters = {"sslmode": "verify-full", "sslrootcert": str(authorities)}
    changed = make_url(url).set(username=user, query=parameters)
    return changed.render_as_string(hide_password=False)


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
async def failover_pair(
    authority: CertificateAuthority, fork_server: ForkServerContext
) -> AsyncIterator[tuple[FailoverPair, str]]:
    """Yield a pair, and the URL of a migrated database on it that stays right all the time.

    Both servers show the same certificate of *authority*.
    """
    async with AsyncExitStack() as stack:
        # They wait for their programs, and would stop this loop meanwhile.
        servers = ExitStack()
        stack.push_async_callback(asyncio.to_thread, servers.close)
        primary = await asyncio.to_thread(
            servers.enter_context, secured_postgres(authority, fork_server)
        )
        database = await postgres.clone(primary.url(), TEMPLATE)
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


async def _prepare_template(
    server: DebianServer, authority: CertificateAuthority, fork_server: ForkServerContext
) -> None:
    trusted = server.folder / "authority.crt"
    trusted.write_bytes(authority.pem)
    await server.execute(_create_login(server, DEPLOYMENT, "CREATEROLE"), CREATE)
    environment = {"GOVID_DATABASE_URL": demand_tls(server.url(TEMPLATE), DEPLOYMENT, trusted)}
    code, output = await run_command(fork_server, environment, server.folder, MIGRATE)
    if code:
        raise RuntimeError(f"the migration ended with {code}: {output.decode()}")
    await server.execute(_create_login(server, APPLICATION, f"IN ROLE {ROLES.application}"))


def _create_login(server: DebianServer, name: str, options: str) -> str:
    return f"CREATE ROLE {name} LOGIN PASSWORD '{server.password}' {options}"

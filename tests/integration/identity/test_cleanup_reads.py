"""A cleanup round reads the rows that are due, and no others."""

from collections.abc import Callable

import pytest

from govid.bus import Transaction
from govid.identity.cleanup import CleanupJob
from govid.identity.repository.accounts import IdentifierClaimRepository
from govid.identity.repository.one_time_tokens import OneTimeTokens
from govid.identity.sessions.expiry import SessionExpiry
from tests.integration.identity.conftest import CONTEXT, IdentityFixture

ROWS = 50
FILL = {
    "living sessions": """
        INSERT INTO identity.session
            (id, account_id, client_id, acr, auth_time, idle_expires_at, absolute_expires_at)
        SELECT gen_random_uuid(), $1, 'govid', 'Cl', now(), now() + interval '1 hour',
               now() + interval '12 hours'
        FROM generate_series(1, $2)
    """,
    "ended sessions": """
        INSERT INTO identity.session
            (id, account_id, client_id, acr, auth_time, absolute_expires_at, revoked_at,
             revoked_reason)
        SELECT gen_random_uuid(), $1, 'govid', 'Cl', now(), now() + interval '12 hours', now(),
               'logout'
        FROM generate_series(1, $2)
    """,
    "links": """
        INSERT INTO identity.link (hash, account_id, purpose, address, issued_at, expires_at)
        SELECT sha256(n::text::bytea), $1, 'reset', 'ada@example.com', now(),
               now() + interval '15 minutes'
        FROM generate_series(1, $2) AS n
    """,
    "claims": """
        INSERT INTO identity.account
            (id, identifier_type, identifier_value, status, auth_provider, created_at, updated_at)
        SELECT gen_random_uuid(), 'NIN', lpad(n::text, 8, 'x') || $1::uuid, 'pending_verification',
               'test', now(), now()
        FROM generate_series(1, $2) AS n
    """,
}
READ = """
    SELECT coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0)::int
    FROM pg_stat_xact_user_tables WHERE schemaname = 'identity' AND relname = $1
"""


async def expire_claims(tx: Transaction, most: int) -> int:
    return len(await IdentifierClaimRepository().release_unverified(tx, days=14, limit=most))


JOBS: dict[str, tuple[str, Callable[[], CleanupJob]]] = {
    "living sessions": ("session", lambda: SessionExpiry().expire_due),
    "ended sessions": ("session", lambda: SessionExpiry().delete_ended),
    "links": ("link", lambda: OneTimeTokens().delete_expired),
    "claims": ("account", lambda: expire_claims),
}


@pytest.mark.parametrize("what", JOBS)
async def test_a_round_reads_nothing_where_nothing_is_due(
    identity: IdentityFixture, what: str
) -> None:
    view = await identity.register()
    await identity.database.reads.execute(FILL[what], view.id, ROWS)
    table, job = JOBS[what]
    async with identity.uow.begin(CONTEXT) as tx:
        # The plan that a table has once it is large.
        await tx.driver.execute("SET LOCAL enable_seqscan = off")
        await tx.driver.execute("SET LOCAL enable_bitmapscan = off")
        # What the connection read a moment ago may not have been reported yet.
        before = await tx.driver.fetchval(READ, table)
        assert await job()(tx, ROWS) == 0
        assert await tx.driver.fetchval(READ, table) == before

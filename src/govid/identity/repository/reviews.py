"""Counts open review items and rewrites mailbox keys of earlier releases, which opens some."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from govid.bus.shared.email_addresses import mailbox_key

IDENTIFIER_SHARED = "identifier_shared"
"""The contra-indicator of an account whose identifier belongs to another account."""
EMAIL_SHARED = "email_shared"
"""The review reason of an account whose address belongs to another account."""
SHARED_REASONS = (IDENTIFIER_SHARED, EMAIL_SHARED)
"""Reasons that come from data of earlier releases, not from a notice."""

_OPEN = """
    SELECT reason, count(*) AS items FROM identity.review_item WHERE state = 'open'
    GROUP BY reason ORDER BY reason
"""


async def count_open_reviews(connection: Any) -> Mapping[str, int]:
    """Return the number of open review items by reason; *connection* is of `asyncpg`."""
    return {row["reason"]: row["items"] for row in await connection.fetch(_OPEN)}


BATCH_ROWS = 500

# Only non-ASCII characters have a key other than their lower case.
_NEXT = """
    SELECT id, email, email_canonical FROM identity.account
    WHERE id > $1 AND octet_length(email) > length(email) ORDER BY id LIMIT $2
"""
_REWRITE = """
    UPDATE identity.account SET email_canonical = $3
    WHERE id = $1 AND email_canonical = $2 AND email = $4
"""
_REVIEW = """
    INSERT INTO identity.review_item (id, reason, account_id) VALUES (gen_random_uuid(), $2, $1)
    ON CONFLICT DO NOTHING
"""


class MailboxRewriteResult(msgspec.Struct, frozen=True, kw_only=True):
    """How many accounts got a new key, and how many did not because it is taken."""

    rewritten: int
    collisions: int


async def rewrite_mailbox_keys(connection: Any) -> MailboxRewriteResult:
    """Rewrite keys of earlier releases; *connection* is of `asyncpg`, outside a transaction.

    If another account has the new key, the account keeps its own, and a review item is opened. The
    function may be interrupted and repeated, because each row is a transaction.
    """
    rewritten = collisions = 0
    last = UUID(int=0)
    while rows := await connection.fetch(_NEXT, last, BATCH_ROWS):
        for row in rows:
            last = row["id"]
            key = mailbox_key(row["email"])
            if key == row["email_canonical"]:
                continue
            try:
                await connection.execute(
                    _REWRITE, row["id"], row["email_canonical"], key, row["email"]
                )
            except asyncpg.UniqueViolationError:
                collisions += 1
                await connection.execute(_REVIEW, row["id"], EMAIL_SHARED)
            else:
                rewritten += 1
    return MailboxRewriteResult(rewritten=rewritten, collisions=collisions)

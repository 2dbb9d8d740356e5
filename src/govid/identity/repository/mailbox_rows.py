"""Rewrites the mailbox keys of accounts created by earlier releases."""

from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from govid.bus.shared.mailboxes import mailbox_key
from govid.identity.repository.reviews import EMAIL_SHARED

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

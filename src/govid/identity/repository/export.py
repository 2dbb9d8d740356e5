"""Reads everything that identity holds about one account."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from govid.identity.models import Account, Letter, Link, Session
from govid.identity.repository.letters import LetterKind
from govid.identity.repository.links import Purpose

Row = dict[str, Any]

_ACCOUNT = (
    Account.id,
    Account.email,
    Account.email_confirmed_at,
    Account.identifier_type,
    Account.identifier_value,
    Account.phone_number,
    Account.password_hash.is_not(None).label("has_password"),
    Account.status,
    Account.assurance,
    Account.auth_provider,
    Account.created_at,
    Account.updated_at,
)
_SESSION = tuple(column for column in Session.__table__.columns if column.name != "account_id")
_LETTER = (Letter.kind, Letter.address, Letter.written_at)
# Not until when it is good: that runs from the last attempt to send the mail, so it would tell
# whether there was a mail to send.
_LINK = (Link.purpose, Link.address, Link.issued_at, Link.used_at)


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """The rows of one account."""

    account: Row
    sessions: Sequence[Row]
    letters: Sequence[Row]
    links: Sequence[Row]

    def __repr__(self) -> str:
        """Name the struct only (I9)."""
        return "<Held>"


class Holdings:
    """What identity holds."""

    def __init__(self, reads: AsyncEngine) -> None:
        """Read on *reads*, an engine whose statements commit by themselves."""
        self._reads = reads

    async def of(self, account_id: UUID) -> Held:
        """Return the rows of the account; no hash of a password or of a token is among them."""
        async with self._reads.connect() as connection:
            own = select(*_ACCOUNT).where(Account.id == account_id)
            # In this order: a letter may become a link in between, and is never missed.
            letters = await _rows(
                connection, select(*_LETTER).where(Letter.account_id == account_id)
            )
            links = await _rows(connection, select(*_LINK).where(Link.account_id == account_id))
            return Held(
                account=(await _rows(connection, own))[0],
                sessions=await _rows(
                    connection,
                    select(*_SESSION)
                    .where(Session.account_id == account_id)
                    .order_by(Session.created_at),
                ),
                letters=_unlisted(letters, links),
                links=links,
            )


def _unlisted(letters: Sequence[Row], links: Sequence[Row]) -> Sequence[Row]:
    """Leave out letters to another address whose links are listed.

    One that waits for its mail server would tell that the address is free: to one that another
    account has, no mail is sent, so that its letter waits for nobody.
    """
    listed = {link["address"] for link in links if link["purpose"] == Purpose.EMAIL}
    return [
        letter
        for letter in letters
        if letter["kind"] != LetterKind.EMAIL_CHANGE or letter["address"] not in listed
    ]


async def _rows(connection: AsyncConnection, statement: Any) -> list[Row]:
    return [dict(row) for row in (await connection.execute(statement)).mappings()]

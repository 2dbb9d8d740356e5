"""Reads all rows of one account for the data export."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from govid.bus.shared.privacy import RedactedStruct
from govid.identity.models import Account, OneTimeToken, Session, StoredEmail
from govid.identity.repository.one_time_tokens import TokenPurpose
from govid.identity.repository.outgoing_email import EmailKind

ExportRow = dict[str, Any]

_ACCOUNT_COLUMNS = (
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
_SESSION_COLUMNS = tuple(
    column for column in Session.__table__.columns if column.name != "account_id"
)
_EMAIL_COLUMNS = (StoredEmail.kind, StoredEmail.address, StoredEmail.written_at)
# Without the expiry: it counts from the last attempt to send the e-mail, so it would tell whether
# there was an e-mail to send.
_TOKEN_COLUMNS = (
    OneTimeToken.purpose,
    OneTimeToken.address,
    OneTimeToken.issued_at,
    OneTimeToken.used_at,
)


class ExportedRows(RedactedStruct, frozen=True, kw_only=True):
    """The rows of one account."""

    account: ExportRow
    sessions: Sequence[ExportRow]
    outgoing_emails: Sequence[ExportRow]
    one_time_tokens: Sequence[ExportRow]


class DataExportRepository:
    """Reads the data that identity stores about an account."""

    def __init__(self, reads: AsyncEngine) -> None:
        """Read on *reads*, an engine in autocommit mode."""
        self._reads = reads

    async def fetch_account(self, account_id: UUID) -> ExportedRows:
        """Return the rows of the account, without hashes of passwords and tokens."""
        async with self._reads.connect() as connection:
            own = select(*_ACCOUNT_COLUMNS).where(Account.id == account_id)
            # In this order, because an e-mail may become a token in between and must not be missed.
            emails = await _fetch_rows(
                connection, select(*_EMAIL_COLUMNS).where(StoredEmail.account_id == account_id)
            )
            tokens = await _fetch_rows(
                connection, select(*_TOKEN_COLUMNS).where(OneTimeToken.account_id == account_id)
            )
            return ExportedRows(
                account=(await _fetch_rows(connection, own))[0],
                sessions=await _fetch_rows(
                    connection,
                    select(*_SESSION_COLUMNS)
                    .where(Session.account_id == account_id)
                    .order_by(Session.created_at),
                ),
                outgoing_emails=_exclude_listed(emails, tokens),
                one_time_tokens=tokens,
            )


def _exclude_listed(
    emails: Sequence[ExportRow], tokens: Sequence[ExportRow]
) -> Sequence[ExportRow]:
    """Leave out e-mails to a new address whose tokens are listed.

    Such an e-mail that waits for the mail server would tell that the address is free. No e-mail is
    sent to an address that another account has, so none waits.
    """
    listed = {token["address"] for token in tokens if token["purpose"] == TokenPurpose.EMAIL}
    return [
        email
        for email in emails
        if email["kind"] != EmailKind.EMAIL_CHANGE or email["address"] not in listed
    ]


async def _fetch_rows(connection: AsyncConnection, statement: Any) -> list[ExportRow]:
    return [dict(row) for row in (await connection.execute(statement)).mappings()]

"""Lists who has used the data of an account, as its holder may see it: never a name of staff."""

import logging
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from govid.bus.shared.api import Page
from govid.bus.shared.context import Principal
from govid.bus.shared.errors import ErrorKind, GovidError
from govid.bus.storage.sql import load_statements

if TYPE_CHECKING:
    from govid.bus.storage.database import Database

log = logging.getLogger(__name__)

QUERIES = load_statements("govid.bus.audit", "access_log.sql")
MAX_CONTENT_BYTES = 8_192
"""No entry of govid is longer. A longer one was changed, and is not even read."""


class AccessEntryDamaged(GovidError):
    """An entry of the access log is damaged and cannot be shown."""

    code = "access-entry-damaged"
    kind = ErrorKind.UNAVAILABLE


class AccessEntryView(msgspec.Struct, frozen=True, kw_only=True):
    """One use of an account holder's data by another person."""

    id: UUID
    at: datetime
    role: Annotated[str, Meta(description="In which role the data was read.")]
    organisation: Annotated[str, Meta(description="The organisation of the reader.")]
    purpose: Annotated[str, Meta(description="A permanent code.")]
    fields: Annotated[tuple[str, ...], Meta(description="What was shown.")]
    scope: Annotated[
        Literal["account", "all_accounts"],
        Meta(description="`all_accounts`: data of several accounts was shown, perhaps yours."),
    ]
    is_sealed: Annotated[bool, Meta(description="Whether there is a proof of the entry yet.")]


class ReadDetails(msgspec.Struct, frozen=True, kw_only=True):
    """The extensions of an entry `data.read`."""

    role: str
    organisation: str
    purpose: str
    fields: tuple[str, ...]


class StoredRead(msgspec.Struct, frozen=True, kw_only=True):
    """The members of a stored entry `data.read` that its subject may see."""

    id: UUID
    at: Annotated[datetime, Meta(tz=True)]
    extensions: ReadDetails


def decode_read(entry_id: UUID, content: bytes | None) -> StoredRead:
    """Return the members of the entry *entry_id* with *content*, None if it is too long.

    Raises:
        AccessEntryDamaged: the content is not that of such an entry. Only the administrator of a
            database can have changed it.
    """
    try:
        read = msgspec.json.decode(content or b"", type=StoredRead)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        read = None
    if read is None or read.id != entry_id:
        log.error("audit.entry_damaged", extra={"entry_id": str(entry_id)})
        raise AccessEntryDamaged
    return read


class AccessLog:
    """Lists the entries `data.read` about one account, and about all accounts."""

    def __init__(self, database: "Database") -> None:
        """Read from *database*, which may still be closed."""
        self._database = database

    async def list_own(
        self, principal: Principal, *, limit: int, after: UUID | None
    ) -> Page[AccessEntryView]:
        """Return the uses of the principal's data in the order of their entries, oldest first.

        Raises:
            AccessEntryDamaged: an entry was changed. It is not left out silently.
        """
        rows = await self._database.reads.fetch(
            QUERIES["page"],
            principal.account_id,
            principal.created_at,
            after,
            limit + 1,
            MAX_CONTENT_BYTES,
        )
        return Page.from_items([_build_view(row) for row in rows], limit)


def _build_view(row: Any) -> AccessEntryView:
    read = decode_read(row["id"], row["content"])
    return AccessEntryView(
        id=read.id,
        at=read.at,
        role=read.extensions.role,
        organisation=read.extensions.organisation,
        purpose=read.extensions.purpose,
        fields=read.extensions.fields,
        scope="all_accounts" if row["is_common"] else "account",
        is_sealed=row["is_sealed"],
    )

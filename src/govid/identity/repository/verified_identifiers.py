"""Tells departments for which account an identifier was verified."""

from uuid import UUID

from govid.bus import Database
from govid.bus.contracts import IdentifierType
from govid.bus.shared.identifiers import identity_key, values_with_key

# A blocked account keeps its identifier, because its holder may be dead.
_IS_ANOTHER_HOLDER = """
    SELECT EXISTS (
        SELECT FROM identity.account
        WHERE identifier_type = $2 AND identifier_value = ANY ($3) AND id <> $1
          AND 'verified' IN (status, CASE WHEN status = 'blocked' THEN status_before END))
"""


class VerifiedIdentifierReader:
    """Looks up verified accounts by identifier, for departments."""

    def __init__(self, database: Database) -> None:
        """Read from *database*."""
        self._database = database

    async def is_another_holder(
        self, account_id: UUID, identifier_type: IdentifierType, canonical_value: str
    ) -> bool:
        """Tell whether the identifier was verified for another account than this one."""
        values = values_with_key(identifier_type, identity_key(identifier_type, canonical_value))
        found: bool = await self._database.reads.fetchval(
            _IS_ANOTHER_HOLDER, account_id, identifier_type, list(values)
        )
        return found

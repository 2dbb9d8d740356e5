"""What a citizen says of themselves, for the department that has to confirm it.

No event carries it: a department asks for it through a port when it needs it, and keeps none of it.
"""

from datetime import date
from typing import Protocol
from uuid import UUID

import msgspec

from govid.bus.personal import Personal
from govid.bus.shared.contract import IdentifierType


class ClaimedFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A name, a date of birth and perhaps a postcode, as the citizen wrote them.

    Someone who has one name has no given name.
    """

    given_name: Personal[str | None] = None
    family_name: Personal[str]
    date_of_birth: Personal[date]
    postcode: Personal[str | None] = None

    def __repr__(self) -> str:
        """Name the struct only (I9)."""
        return "<ClaimedFacts>"


class FactsOfAccounts(Protocol):
    """Knows what the holder of an account has claimed."""

    async def of(self, account_id: UUID) -> ClaimedFacts | None:
        """Return the facts of the account, or None where too few were given."""


class VerifiedIdentifiers(Protocol):
    """Knows for which accounts identifiers were verified."""

    async def is_another_holder(
        self, account_id: UUID, identifier_type: IdentifierType, canonical_value: str
    ) -> bool:
        """Tell whether the identifier was verified for another account than this one."""

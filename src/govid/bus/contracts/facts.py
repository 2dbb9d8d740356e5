"""What a citizen says of themselves, for the department that has to confirm it.

No event carries it: a department asks for it through a port when it needs it, and keeps none of it.
"""

from datetime import date
from typing import Protocol
from uuid import UUID

import msgspec

from govid.bus.personal import Personal


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

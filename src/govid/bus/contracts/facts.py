"""Holds what citizens state about themselves, for the department that has to confirm it.

No event carries these facts. A department reads them through an interface when it needs them, and
stores none of them.
"""

from datetime import date
from typing import Protocol
from uuid import UUID

import msgspec

from govid.bus.personal import Personal
from govid.bus.shared.contract import IdentifierType


class ClaimedFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A name, a date of birth and possibly a postcode, as the citizen entered them.

    `given_name` is None for a person with a single name.
    """

    given_name: Personal[str | None] = None
    family_name: Personal[str]
    date_of_birth: Personal[date]
    postcode: Personal[str | None] = None

    def __repr__(self) -> str:
        """Name the struct only (I9)."""
        return "<ClaimedFacts>"


class ClaimedFactsSource(Protocol):
    """Reads the facts that an account holder has claimed."""

    async def for_account(self, account_id: UUID) -> ClaimedFacts | None:
        """Return the facts of the account, or None if too few were given."""


class VerifiedIdentifierLookup(Protocol):
    """Reads for which accounts identifiers were verified."""

    async def is_another_holder(
        self, account_id: UUID, identifier_type: IdentifierType, canonical_value: str
    ) -> bool:
        """Tell whether the identifier was verified for another account than this one."""

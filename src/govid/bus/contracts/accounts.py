"""What happens to accounts. These events stay inside: they have no Kafka topic."""

from datetime import datetime
from uuid import UUID

from govid.bus.shared.contract import Event, IdentifierType


class AccountEvent(Event, frozen=True, kw_only=True):
    """Something that happened to one account."""

    account_id: UUID
    timestamp: datetime


class AccountRegistered(AccountEvent, frozen=True, kw_only=True):
    """Somebody opened an account."""

    identifier_type: IdentifierType | None = None


class AccountVerified(AccountEvent, frozen=True, kw_only=True):
    """The department that owns the account's identifier confirmed it."""


class AccountVerificationFailed(AccountEvent, frozen=True, kw_only=True):
    """The department that owns the account's identifier did not confirm it."""

    reason: str | None = None


class AccountBlocked(AccountEvent, frozen=True, kw_only=True):
    """The account may no longer be used; its sessions are dead.

    `reason` is a permanent code. Where an operator did it, `stated_reason` is in their own words.
    """

    reason: str | None = None
    operator: str | None = None
    stated_reason: str | None = None


class AccountRestored(AccountEvent, frozen=True, kw_only=True):
    """A blocked account may be used again; its old sessions stay dead."""

    reason: str | None = None
    operator: str | None = None
    stated_reason: str | None = None

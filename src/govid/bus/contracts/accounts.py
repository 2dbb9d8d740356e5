"""Events of the account life cycle. They are internal: no Kafka topic carries them."""

from datetime import datetime
from uuid import UUID

from govid.bus.shared.contract import Event, IdentifierType


class AccountEvent(Event, frozen=True, kw_only=True):
    """Base of the events that concern one account."""

    account_id: UUID
    timestamp: datetime


class AccountRegistered(AccountEvent, frozen=True, kw_only=True):
    """An account was registered."""

    identifier_type: IdentifierType | None = None


class AccountVerified(AccountEvent, frozen=True, kw_only=True):
    """The department that owns the identifier confirmed it for the account."""


class AccountVerificationFailed(AccountEvent, frozen=True, kw_only=True):
    """The department that owns the identifier did not confirm it for the account."""

    reason: str | None = None


class AccountBlocked(AccountEvent, frozen=True, kw_only=True):
    """The account was blocked and its sessions were revoked.

    `reason` is a permanent code. If an operator blocked the account, `operator` names them and
    `stated_reason` is the free text that they gave.
    """

    reason: str | None = None
    operator: str | None = None
    stated_reason: str | None = None


class AccountRestored(AccountEvent, frozen=True, kw_only=True):
    """A blocked account was restored; its old sessions stay revoked."""

    reason: str | None = None
    operator: str | None = None
    stated_reason: str | None = None

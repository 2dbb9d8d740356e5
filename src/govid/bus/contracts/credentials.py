"""Events of passwords and email addresses. They are internal and hold no personal data."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from govid.bus.contracts.accounts import AccountEvent
from govid.bus.shared.contract import Event


class CredentialChanged(AccountEvent, frozen=True, kw_only=True):
    """The password was changed or reset; the sessions of the account were revoked."""

    how: Literal["change", "reset"]


class CredentialCorrupt(AccountEvent, frozen=True, kw_only=True):
    """The stored password hash of the account cannot be read, so every login is refused."""


class CredentialResetRequested(Event, frozen=True, kw_only=True):
    """A link to set a new password was requested.

    `account_id` is None if no account has the address, or if the account may not reset.
    """

    request_id: UUID
    account_id: UUID | None = None
    timestamp: datetime


class EmailConfirmed(AccountEvent, frozen=True, kw_only=True):
    """The account holder confirmed the email address of the account."""


class EmailChangeRequested(AccountEvent, frozen=True, kw_only=True):
    """A new email address was requested; the old one stays valid until the new one is confirmed."""


class EmailChanged(AccountEvent, frozen=True, kw_only=True):
    """The account has a new email address, which the account holder has confirmed."""


class LetterWritten(Event, frozen=True, kw_only=True):
    """An email is to be sent. Recipient and link are stored by identity, not in the event.

    If `is_held_back` is set, the quota of the recipient is exceeded and no email is sent.
    """

    letter_id: UUID
    kind: str
    is_held_back: bool = False
    timestamp: datetime

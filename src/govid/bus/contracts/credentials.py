"""What happens to passwords and addresses. These events stay inside; they hold no personal data."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from govid.bus.contracts.accounts import AccountEvent
from govid.bus.shared.contract import Event


class CredentialChanged(AccountEvent, frozen=True, kw_only=True):
    """The account has another password; its sessions are dead."""

    how: Literal["change", "reset"]


class CredentialCorrupt(AccountEvent, frozen=True, kw_only=True):
    """The stored hash of the account's password cannot be read: every password is a wrong one."""


class CredentialResetRequested(Event, frozen=True, kw_only=True):
    """Somebody asked for a link to set a new password.

    Without `account_id` nobody has the address that was named, or nobody who may reset.
    """

    request_id: UUID
    account_id: UUID | None = None
    timestamp: datetime


class EmailConfirmed(AccountEvent, frozen=True, kw_only=True):
    """The account's address is known to reach its owner."""


class EmailChangeRequested(AccountEvent, frozen=True, kw_only=True):
    """Another address was asked for; until it is confirmed, the old one counts."""


class EmailChanged(AccountEvent, frozen=True, kw_only=True):
    """The account has another address, which its owner has confirmed."""


class LetterWritten(Event, frozen=True, kw_only=True):
    """A mail is to be sent. To whom, and with which link, stands in identity's own rows.

    One that `is_held_back` is above the quota of its recipient: no mail leaves.
    """

    letter_id: UUID
    kind: str
    is_held_back: bool = False
    timestamp: datetime

"""What happens at the door: attempts to get in. No Kafka topic carries these events.

`subject` is a pseudonym of what was tried: it lets attempts be recognised as those of one name,
also where nobody has it, and tells the name to nobody.
"""

from datetime import datetime
from typing import Literal
from uuid import UUID

from govid.bus.contracts.accounts import AccountEvent
from govid.bus.shared.contract import Event


class LoginSucceeded(AccountEvent, frozen=True, kw_only=True):
    """Somebody showed the right password."""

    subject: str


class LoginFailed(Event, frozen=True, kw_only=True):
    """Somebody did not get in. Without `account_id` nobody has the address that was tried."""

    subject: str
    account_id: UUID | None = None
    reason: Literal["unknown", "wrong", "locked"]
    timestamp: datetime


class LoginRefusedBlocked(AccountEvent, frozen=True, kw_only=True):
    """Somebody showed the right password of a blocked account."""

    subject: str


class RegistrationDuplicated(Event, frozen=True, kw_only=True):
    """Somebody asked for an account with an address, or an identifier, that another one has."""

    subject: str
    taken: Literal["email", "NIN", "NHS"]
    timestamp: datetime


class LoginLocked(Event, frozen=True, kw_only=True):
    """Too many attempts failed: for a time, `flow` refuses this name whatever is shown."""

    flow: str
    subject: str
    account_id: UUID | None = None
    timestamp: datetime


class LoginLockExpired(Event, frozen=True, kw_only=True):
    """A lock is over: its time is, or a link in a mail has set a new password."""

    flow: str
    subject: str
    account_id: UUID | None = None
    timestamp: datetime

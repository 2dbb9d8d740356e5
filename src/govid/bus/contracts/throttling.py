"""Events of login and registration attempts. They are internal: no Kafka topic carries them.

`subject` is a keyed pseudonym of the name that was tried. It groups attempts on the same name, even
if no account has it, and does not reveal the name.
"""

from datetime import datetime
from typing import Literal
from uuid import UUID

from govid.bus.contracts.accounts import AccountEvent
from govid.bus.shared.contract import Event


class LoginSucceeded(AccountEvent, frozen=True, kw_only=True):
    """A login presented the right password."""

    subject: str


class LoginFailed(Event, frozen=True, kw_only=True):
    """A login failed. `account_id` is None if no account has the address that was tried."""

    subject: str
    account_id: UUID | None = None
    reason: Literal["unknown", "wrong", "locked"]
    timestamp: datetime


class LoginRefusedBlocked(AccountEvent, frozen=True, kw_only=True):
    """A login presented the right password of a blocked account and was refused."""

    subject: str


class RegistrationDuplicated(Event, frozen=True, kw_only=True):
    """A registration named an address or an identifier that another account has."""

    subject: str
    taken: Literal["email", "NIN", "NHS"]
    timestamp: datetime


class LoginLocked(Event, frozen=True, kw_only=True):
    """Lockout: after too many failed attempts, `flow` refuses this name for a time."""

    flow: str
    subject: str
    account_id: UUID | None = None
    timestamp: datetime


class LoginLockExpired(Event, frozen=True, kw_only=True):
    """A lockout ended: it expired, or a password reset by email link ended it."""

    flow: str
    subject: str
    account_id: UUID | None = None
    timestamp: datetime

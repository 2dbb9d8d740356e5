"""Names the states of an account. They are stored, shown to clients and read by departments."""

from enum import StrEnum


class AccountStatus(StrEnum):
    """The state of an account; each value is permanent, because it is stored and published."""

    PENDING = "pending_verification"
    VERIFIED = "verified"
    FAILED = "verification_failed"
    REGISTERED = "registered"
    """The account holds no identifier."""
    BLOCKED = "blocked"
    CLOSED = "closed"


UNVERIFIED = (AccountStatus.PENDING, AccountStatus.FAILED)
"""The states in which an account claims an identifier that no department has confirmed."""

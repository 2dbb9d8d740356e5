"""Who holds an identifier, and who does so no more. These events stay inside."""

from govid.bus.contracts.accounts import AccountEvent
from govid.bus.shared.contract import IdentifierType


class AccountClaimExpired(AccountEvent, frozen=True, kw_only=True):
    """An account gave back an identifier that no department had confirmed in time."""

    identifier_type: IdentifierType


class AccountClosed(AccountEvent, frozen=True, kw_only=True):
    """The owner closed the account; what was personal in it is gone, and so are its sessions."""


class AccountIdentifierReleased(AccountEvent, frozen=True, kw_only=True):
    """An identifier may be registered again: a closed account's, or one that nobody had proved.

    The latter is an operator's act; `stated_reason` is in their own words, and names nobody.
    """

    identifier_type: IdentifierType
    operator: str | None = None
    stated_reason: str | None = None

"""Who holds an identifier, and who does so no more. These events stay inside."""

from govid.bus.contracts.accounts import AccountEvent
from govid.bus.contracts.base import IdentifierType


class AccountClaimExpired(AccountEvent, frozen=True, kw_only=True):
    """An account gave back an identifier that no department had confirmed in time."""

    identifier_type: IdentifierType


class AccountClosed(AccountEvent, frozen=True, kw_only=True):
    """The owner closed the account; what was personal in it is gone, and so are its sessions."""


class AccountIdentifierReleased(AccountEvent, frozen=True, kw_only=True):
    """A closed account's identifier may be registered again."""

    identifier_type: IdentifierType

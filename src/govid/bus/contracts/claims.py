"""Events of identifiers that an account claims or releases. They are internal."""

from govid.bus.contracts.accounts import AccountEvent
from govid.bus.shared.contract import IdentifierType


class AccountClaimExpired(AccountEvent, frozen=True, kw_only=True):
    """An account lost its claim to an identifier that no department had confirmed in time."""

    identifier_type: IdentifierType


class AccountClosed(AccountEvent, frozen=True, kw_only=True):
    """The account holder closed the account: personal data was erased, sessions were revoked."""


class AccountIdentifierReleased(AccountEvent, frozen=True, kw_only=True):
    """An identifier may be registered again.

    It belonged to a closed account, or an operator released it because it was never verified. In
    the second case `stated_reason` is the free text of the operator, without personal data.
    """

    identifier_type: IdentifierType
    operator: str | None = None
    stated_reason: str | None = None

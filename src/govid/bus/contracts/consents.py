"""Events of a citizen's consent to read their tax records at HMRC. They are internal."""

from govid.bus.contracts.accounts import AccountEvent


class TaxConsentGranted(AccountEvent, frozen=True, kw_only=True):
    """The account holder gave consent at HMRC."""


class TaxConsentWithdrawn(AccountEvent, frozen=True, kw_only=True):
    """The account holder withdrew the consent, and govid deleted the consent tokens."""


class TaxConsentLapsed(AccountEvent, frozen=True, kw_only=True):
    """HMRC treats the consent as ended."""

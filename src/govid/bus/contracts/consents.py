"""What becomes of a citizen's consent to show their tax records. These events stay inside."""

from govid.bus.contracts.accounts import AccountEvent


class TaxConsentGranted(AccountEvent, frozen=True, kw_only=True):
    """Somebody consented at HMRC."""


class TaxConsentWithdrawn(AccountEvent, frozen=True, kw_only=True):
    """Somebody withdrew their consent, and govid has forgotten what opened the records."""


class TaxConsentLapsed(AccountEvent, frozen=True, kw_only=True):
    """HMRC takes the consent for ended."""

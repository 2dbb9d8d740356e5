"""What happens to patient records. These events stay inside."""

from govid.bus.contracts.accounts import AccountEvent


class PatientRecordRefused(AccountEvent, frozen=True, kw_only=True):
    """An account tried to file a record under a number that was verified for another account."""

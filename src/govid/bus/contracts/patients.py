"""Events of patient records. They are internal."""

from govid.bus.contracts.accounts import AccountEvent


class PatientRecordRefused(AccountEvent, frozen=True, kw_only=True):
    """A patient record was refused: its NHS number is verified for another account."""

"""Decides for which NHS number an account may book: its own, after verification."""

from uuid import UUID

from govid.bus import Principal
from govid.bus.contracts import IdentifierType
from govid.bus.shared.identifiers import normalise_identifier
from govid.nhs.errors import NhsNumberNotYours, StepUpRequired
from govid.nhs.repository import PatientRepository

REQUIRED_ASSURANCE = "P1"


class BookingEligibility:
    """Compares an NHS number with the one that the registry gave when it verified the account."""

    def __init__(self, patients: PatientRepository, *, own_number_only: bool) -> None:
        """Read *patients*. Without *own_number_only* an account may book for any NHS number."""
        self._patients = patients
        self._own_number_only = own_number_only

    async def require_own_number(self, principal: Principal, number: str) -> None:
        """Accept *number* if it is the principal's own verified NHS number, in any notation.

        Raises:
            StepUpRequired: the account is not verified, or a contra-indicator lowered its level.
            NhsNumberNotYours: the number belongs to another patient, is not allocated, or is
                malformed. The three cases are not distinguished.
        """
        if not self._own_number_only:
            return
        # The string order of P0, P1 and P2 is the order of the levels.
        if principal.assurance < REQUIRED_ASSURANCE:
            raise StepUpRequired
        if not await self.is_own_number(principal.account_id, number):
            raise NhsNumberNotYours

    async def is_own_number(self, account_id: UUID, number: str) -> bool:
        """Tell whether *number* is the registered NHS number of the account holder."""
        try:
            canonical = normalise_identifier(IdentifierType.NHS, number, prototype_form=False)
        except ValueError:
            return False
        return await self._patients.find_registered_number(account_id) == canonical

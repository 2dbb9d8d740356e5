"""For whom somebody may book at a practice: for themselves, once the NHS has said who they are."""

from uuid import UUID

from govid.bus import Principal
from govid.bus.contracts import IdentifierType
from govid.bus.shared.identifiers import normalise_identifier
from govid.nhs.errors import NotYourNumber, StepUpRequired
from govid.nhs.repository import Patients

LEAST_ASSURANCE = "P1"


class Holders:
    """Knows whose an NHS number is, by what the registry said when it was verified."""

    def __init__(self, patients: Patients, *, is_strict: bool) -> None:
        """Look into *patients*. Unless *is_strict*, anybody may book in any name."""
        self._patients = patients
        self._is_strict = is_strict

    async def check(self, principal: Principal, number: str) -> None:
        """Let pass whose own verified NHS number *number* is, however it is written.

        Raises:
            StepUpRequired: the account is not verified, or something speaks against it.
            NotYourNumber: the number is another's, nobody's, or none at all; which, is not told.
        """
        if not self._is_strict:
            return
        # P0, P1 and P2 are in order as they are written.
        if principal.assurance < LEAST_ASSURANCE:
            raise StepUpRequired
        if not await self.is_own(principal.account_id, number):
            raise NotYourNumber

    async def is_own(self, account_id: UUID, number: str) -> bool:
        """Tell whether the registry has given *number* for the holder of the account."""
        try:
            wanted = normalise_identifier(IdentifierType.NHS, number, prototype_form=False)
        except ValueError:
            return False
        return await self._patients.registered_number(account_id) == wanted

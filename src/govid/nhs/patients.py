"""Patient records: a citizen files and sees their own."""

from uuid import UUID

from govid.bus import Cause, Invalid, Page, Principal, UnitOfWork
from govid.bus.contracts import IdentifierType
from govid.bus.shared.identifiers import normalise_identifier
from govid.nhs.repository import Patients
from govid.nhs.schemas import FilePatient, PatientView


class PatientFiling:
    """Files patient records."""

    def __init__(self, uow: UnitOfWork, patients: Patients, *, prototype_form: bool) -> None:
        """Take the prototype's form of an NHS number too, with *prototype_form*."""
        self._uow = uow
        self._patients = patients
        self._prototype_form = prototype_form

    async def file(self, record: FilePatient, principal: Principal, cause: Cause) -> PatientView:
        """Store *record* as the principal's own.

        Raises:
            Invalid: the NHS number is malformed.
        """
        try:
            number = normalise_identifier(
                IdentifierType.NHS, record.nhs_number, prototype_form=self._prototype_form
            )
        except ValueError as error:
            raise Invalid.at("nhsNumber", str(error), "nhs_number_format") from error
        async with self._uow.begin(cause) as tx:
            return await self._patients.add(tx, principal.account_id, record, number)

    async def own(
        self, principal: Principal, *, limit: int, after: UUID | None
    ) -> Page[PatientView]:
        """Return a page of the principal's own records."""
        return await self._patients.page_of(principal.account_id, limit=limit, after=after)

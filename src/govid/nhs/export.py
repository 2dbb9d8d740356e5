"""Streams the data that the NHS module stores about an account, for its data export."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import func, select

from govid.bus import Database, stream_pages
from govid.nhs.models import Appointment, Patient

_PATIENT = tuple(column for column in Patient.__table__.columns if column.name != "account_id")
_PATIENT_BYTES = func.octet_length(Patient.name) + func.octet_length(
    func.coalesce(Patient.medical_history, "")
)
_APPOINTMENT = tuple(
    column for column in Appointment.__table__.columns if column.name != "account_id"
)
_APPOINTMENT_BYTES = func.octet_length(Appointment.doctor_specialty) + func.octet_length(
    func.coalesce(Appointment.reason, "")
)


class DataExportSource:
    """Source of one account's patient records and appointments for the data export."""

    def __init__(self, database: Database) -> None:
        """Read from *database*. It may be opened later."""
        self._reads = database.requests.execution_options(isolation_level="AUTOCOMMIT")

    def sections(
        self,
    ) -> Mapping[str, Callable[[UUID], AsyncIterator[Sequence[Mapping[str, Any]]]]]:
        """Return one function per section of the export; it streams the rows in pages."""
        return {"patients": self._patients, "appointments": self._appointments}

    def _patients(self, account_id: UUID) -> AsyncIterator[Sequence[Mapping[str, Any]]]:
        rows = select(*_PATIENT).where(Patient.account_id == account_id)
        return stream_pages(self._reads, rows, _PATIENT_BYTES)

    def _appointments(self, account_id: UUID) -> AsyncIterator[Sequence[Mapping[str, Any]]]:
        rows = select(*_APPOINTMENT).where(Appointment.account_id == account_id)
        return stream_pages(self._reads, rows, _APPOINTMENT_BYTES)

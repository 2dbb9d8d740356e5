"""What the NHS holds about an account, for whoever wants to know what is held about them."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select

from govid.bus import Database
from govid.nhs.models import Appointment, Patient

_PATIENT = tuple(column for column in Patient.__table__.columns if column.name != "account_id")
_APPOINTMENT = tuple(
    column for column in Appointment.__table__.columns if column.name != "account_id"
)


class Records:
    """The records of one account, as they are stored."""

    def __init__(self, database: Database) -> None:
        """Read from *database*, which need not be open yet."""
        self._reads = database.requests.execution_options(isolation_level="AUTOCOMMIT")

    async def of(self, account_id: UUID) -> Mapping[str, Sequence[Any]]:
        """Return the account's patient records and appointments."""
        patients = select(*_PATIENT).where(Patient.account_id == account_id).order_by(Patient.id)
        appointments = (
            select(*_APPOINTMENT)
            .where(Appointment.account_id == account_id)
            .order_by(Appointment.id)
        )
        async with self._reads.connect() as connection:
            return {
                "patients": [dict(row) for row in (await connection.execute(patients)).mappings()],
                "appointments": [
                    dict(row) for row in (await connection.execute(appointments)).mappings()
                ],
            }

"""Reads and writes patient records."""

from uuid import UUID

from sqlalchemy import case, delete, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from govid.bus import Page, Transaction, build_page, limit_page, uuid7
from govid.nhs.models import Patient
from govid.nhs.schemas import FilePatient, PatientView

_PATIENT = (
    Patient.id,
    Patient.patient_id,
    Patient.name,
    Patient.nhs_number,
    Patient.medical_history,
    case((Patient.source == "registry", "registry"), else_="self-declared").label("source"),
)
_TEXT_BYTES = func.octet_length(Patient.name) + func.octet_length(
    func.coalesce(Patient.medical_history, "")
)
# Written as in the partial index, without a parameter: after five executions PostgreSQL may use a
# generic plan for all parameter values, which cannot use this index.
_FROM_REGISTRY = text("source = 'registry'")


class PatientRepository:
    """Reads and writes patient records."""

    def __init__(self, reads: AsyncEngine) -> None:
        """Read through *reads*, an engine in autocommit mode."""
        self._reads = reads

    async def fetch_page(
        self, account_id: UUID, *, limit: int, after: UUID | None
    ) -> Page[PatientView]:
        """Return up to *limit* of the account's records by id, after the id *after*."""
        statement = select(*_PATIENT).where(Patient.account_id == account_id)
        if after is not None:
            statement = statement.where(Patient.id > after)
        async with self._reads.connect() as connection:
            rows = (await connection.execute(limit_page(statement, _TEXT_BYTES, limit))).all()
        return build_page(rows, lambda columns: PatientView(**columns), limit)

    async def insert_filed(
        self, tx: Transaction, account_id: UUID, record: FilePatient, nhs_number: str
    ) -> PatientView:
        """Insert a self-declared record; *nhs_number* is in canonical form."""
        statement = insert(Patient).values(
            id=uuid7(),
            account_id=account_id,
            name=record.name,
            nhs_number=nhs_number,
            medical_history=record.medical_history,
            source="citizen",
            created_at=tx.now,
            updated_at=tx.now,
        )
        row = (await tx.execute(statement.returning(*_PATIENT))).one()
        return PatientView(**row._asdict())

    async def upsert_registered(
        self, tx: Transaction, account_id: UUID, *, nhs_number: str, name: str
    ) -> None:
        """Insert or replace the registry's record of the account holder."""
        statement = insert(Patient).values(
            id=uuid7(),
            account_id=account_id,
            name=name,
            nhs_number=nhs_number,
            source="registry",
            created_at=tx.now,
            updated_at=tx.now,
        )
        new = statement.excluded
        await tx.execute(
            statement.on_conflict_do_update(
                index_elements=[Patient.account_id],
                index_where=_FROM_REGISTRY,
                set_={
                    "name": new.name,
                    "nhs_number": new.nhs_number,
                    "updated_at": new.updated_at,
                },
            )
        )

    async def find_registered_number(self, account_id: UUID) -> str | None:
        """Return the account holder's NHS number from the registry, if there is one."""
        statement = select(Patient.nhs_number).where(
            Patient.account_id == account_id, _FROM_REGISTRY
        )
        async with self._reads.connect() as connection:
            return (await connection.execute(statement)).scalar_one_or_none()

    async def delete_filed(self, tx: Transaction, account_id: UUID, record_id: UUID) -> bool:
        """Delete a record that the account has filed; return whether it existed."""
        removed = await tx.execute(
            delete(Patient).where(
                Patient.id == record_id,
                Patient.account_id == account_id,
                Patient.source == "citizen",
            )
        )
        return removed.rowcount == 1

    async def delete_for_account(self, tx: Transaction, account_id: UUID) -> None:
        """Delete every record of the account."""
        await tx.execute(delete(Patient).where(Patient.account_id == account_id))

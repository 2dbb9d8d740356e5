"""Decides what an account may do: for which NHS number it may book, its quotas and rate limits."""

from uuid import UUID

from sqlalchemy import Select, and_, func, or_, select

from govid.bus import (
    OperationContext,
    Principal,
    QuotaCounters,
    QuotaReached,
    QuotaRule,
    RateExceeded,
    Transaction,
    UnitOfWork,
)
from govid.bus.events import IdentifierType
from govid.bus.shared.assurance import IdentityAssurance, require_assurance
from govid.bus.shared.identifiers import normalise_identifier
from govid.nhs.errors import NhsNumberNotYours, StepUpRequired
from govid.nhs.models import Appointment, Patient
from govid.nhs.repository import PatientRepository
from govid.nhs.settings import NhsQuotas
from govid.nhs.slots import AppointmentStatus

REQUIRED_ASSURANCE: IdentityAssurance = "P1"


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
        require_assurance(principal, REQUIRED_ASSURANCE, StepUpRequired)
        if not await self.is_own_number(principal.account_id, number):
            raise NhsNumberNotYours

    async def is_own_number(self, account_id: UUID, number: str) -> bool:
        """Tell whether *number* is the registered NHS number of the account holder."""
        try:
            canonical = normalise_identifier(IdentifierType.NHS, number, accept_prototype_nhs=False)
        except ValueError:
            return False
        return await self._patients.find_registered_number(account_id) == canonical


MINUTE_SECONDS = 60
DAY_SECONDS = 24 * 3600
REFUSED_NUMBERS_PER_DAY = 10


class AccountQuotas:
    """Checks the quotas and rate limits of one account; a limit of 0 disables a check.

    Rows beyond a quota stay readable. Checks of stored rows need the account's row lock, which
    serialises the requests of one account. Otherwise two requests could both use the last unit.
    """

    def __init__(self, uow: UnitOfWork, counters: QuotaCounters, limits: NhsQuotas) -> None:
        """Count in *counters* and compare with *limits*."""
        self._uow = uow
        self._counters = counters
        self._limits = limits

    async def check_patient_records(self, tx: Transaction, account_id: UUID) -> None:
        """Require that one more record may be filed. Records of the registry do not count.

        Raises:
            QuotaReached: the account has reached its quota.
        """
        maximum = self._limits.patient_records
        filed = select(Patient.id).where(
            Patient.account_id == account_id, Patient.source == "citizen"
        )
        if maximum and await _count(tx, filed, maximum) >= maximum:
            raise QuotaReached(
                f"Your account has {maximum} patient records, which is the maximum. "
                "Remove one that you filed before you file another"
            )

    async def check_live_appointments(
        self, tx: Transaction, account_id: UUID, specialty: str
    ) -> None:
        """Require that one more live appointment is allowed, in total and of *specialty*.

        Raises:
            QuotaReached: the account has reached one of the two quotas.
        """
        maximum, each = self._limits.live_appointments, self._limits.live_appointments_per_specialty
        live = select(Appointment.id).where(
            Appointment.account_id == account_id,
            or_(
                Appointment.status == AppointmentStatus.REQUESTED,
                and_(
                    Appointment.status == AppointmentStatus.CONFIRMED,
                    Appointment.confirmed_datetime > tx.now,
                ),
            ),
        )
        if maximum and await _count(tx, live, maximum) >= maximum:
            raise QuotaReached(
                f"You have {maximum} appointments ahead, which is the maximum. "
                "Cancel one before you request another"
            )
        same = live.where(
            func.lower(func.btrim(Appointment.doctor_specialty)) == specialty.strip().lower()
        )
        if each and await _count(tx, same, each) >= each:
            raise QuotaReached(
                "You have an appointment ahead for this specialty. "
                "Move it, or cancel it before you request another"
            )

    async def count_change(self, tx: Transaction, account_id: UUID) -> None:
        """Count a booking, a move or a cancellation.

        Raises:
            RateExceeded: the account has reached its daily limit.
        """
        limit = self._limits.appointment_changes_per_day
        quota = QuotaRule.for_account("appointment_changes", account_id, limit, DAY_SECONDS)
        await self._counters.consume_or_raise(tx, quota)

    async def count_refused_number(
        self, tx: Transaction, account_id: UUID, *, is_refused: bool
    ) -> None:
        """Count a refused NHS number: one that was verified for another account.

        Beyond the daily limit no record can be filed at all. A refusal reveals that the number is
        verified, and so would an accepted record.

        Raises:
            RateExceeded: the limit is reached. The caller must roll *tx* back.
        """
        quota = QuotaRule.for_account(
            "refused_numbers", account_id, REFUSED_NUMBERS_PER_DAY, DAY_SECONDS
        )
        seconds = await self._counters.reserve(tx, [quota])
        if seconds is not None:
            raise RateExceeded(retry_after_seconds=seconds)
        if is_refused:
            await self._counters.confirm(tx, consumed=[quota])
        else:
            await self._counters.confirm(tx, released=[quota])

    async def count_search(self, account_id: UUID, context: OperationContext) -> None:
        """Count a search for slots, in its own transaction, before the practice is asked.

        Raises:
            RateExceeded: the account has reached its limit of this minute.
        """
        limit = self._limits.slot_searches_per_minute
        quota = QuotaRule.for_account("slot_searches", account_id, limit, MINUTE_SECONDS)
        await self._counters.consume_separately(self._uow, context, quota)


async def _count(tx: Transaction, rows: Select[UUID], limit: int) -> int:
    """Count *rows*, up to *limit*."""
    counted = select(func.count()).select_from(rows.limit(limit).subquery())
    found: int = (await tx.execute(counted)).scalar_one()
    return found

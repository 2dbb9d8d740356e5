"""What one account may store and do: records, live appointments, changes and searches."""

from uuid import UUID

from sqlalchemy import Select, and_, func, or_, select

from govid.bus import Cause, Quota, QuotaReached, Quotas, RateExceeded, Transaction, UnitOfWork
from govid.nhs.decision import AppointmentStatus
from govid.nhs.models import Appointment, Patient
from govid.nhs.settings import NhsQuotas

MINUTE_SECONDS = 60
DAY_SECONDS = 24 * 3600
REFUSED_NUMBERS_PER_DAY = 10


class AccountQuotas:
    """Checks the quotas of one account; a limit of 0 is off.

    What exists beyond a quota stays readable. Checks of stored rows need the account's row lock,
    which serialises the requests of one account: otherwise two could fill the last place.
    """

    def __init__(self, uow: UnitOfWork, counters: Quotas, limits: NhsQuotas) -> None:
        """Count rates in *counters*, and compare with *limits*."""
        self._uow = uow
        self._counters = counters
        self._limits = limits

    async def check_patient_records(self, tx: Transaction, account_id: UUID) -> None:
        """Refuse one record more than the account may file. Records of the registry do not count.

        Raises:
            QuotaReached: the account has as many as it may have.
        """
        most = self._limits.patient_records
        filed = select(Patient.id).where(
            Patient.account_id == account_id, Patient.source == "citizen"
        )
        if most and await _count(tx, filed, most) >= most:
            raise QuotaReached(
                f"Your account has {most} patient records, which is the most: "
                "remove one that you filed before you file another"
            )

    async def check_live_appointments(
        self, tx: Transaction, account_id: UUID, specialty: str
    ) -> None:
        """Refuse one appointment more than the account may have ahead.

        Raises:
            QuotaReached: the account has as many as it may have, in all or of *specialty*.
        """
        most, each = self._limits.live_appointments, self._limits.live_appointments_per_specialty
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
        if most and await _count(tx, live, most) >= most:
            raise QuotaReached(
                f"You have {most} appointments ahead, which is the most: "
                "cancel one before you ask for another"
            )
        same = live.where(
            func.lower(func.btrim(Appointment.doctor_specialty)) == specialty.strip().lower()
        )
        if each and await _count(tx, same, each) >= each:
            raise QuotaReached(
                "You have an appointment ahead for this specialty: "
                "move it, or cancel it before you ask for another"
            )

    async def count_change(self, tx: Transaction, account_id: UUID) -> None:
        """Count a booking, a move or a cancellation.

        Raises:
            RateExceeded: the account has made as many today as it may make.
        """
        await self._counters.spend(
            tx,
            Quota(
                kind="appointment_changes",
                bucket=str(account_id),
                most=self._limits.appointment_changes_per_day,
                seconds=DAY_SECONDS,
            ),
        )

    async def count_number(self, tx: Transaction, account_id: UUID, *, is_refused: bool) -> None:
        """Count a record whose number was verified for another account.

        After too many of them no record can be filed: a refusal tells that the number is taken, and
        so would a record that is accepted.

        Raises:
            RateExceeded: too many were refused today. *tx* has to be rolled back.
        """
        quota = Quota(
            kind="refused_numbers",
            bucket=str(account_id),
            most=REFUSED_NUMBERS_PER_DAY,
            seconds=DAY_SECONDS,
        )
        seconds = await self._counters.hold(tx, [quota])
        if seconds is not None:
            raise RateExceeded(retry_after_seconds=seconds)
        if is_refused:
            await self._counters.settle(tx, spent=[quota])
        else:
            await self._counters.settle(tx, given_back=[quota])

    async def count_search(self, account_id: UUID, cause: Cause) -> None:
        """Count one question to a practice, in a transaction of its own, before it is asked.

        Raises:
            RateExceeded: the account has asked as often in this minute as it may ask.
        """
        if not self._limits.slot_searches_per_minute:
            return
        async with self._uow.begin(cause) as tx:
            await self._counters.spend(
                tx,
                Quota(
                    kind="slot_searches",
                    bucket=str(account_id),
                    most=self._limits.slot_searches_per_minute,
                    seconds=MINUTE_SECONDS,
                ),
            )


async def _count(tx: Transaction, rows: Select[UUID], most: int) -> int:
    """Count *rows*, and no more than *most* of them."""
    counted = select(func.count()).select_from(rows.limit(most).subquery())
    found: int = (await tx.execute(counted)).scalar_one()
    return found

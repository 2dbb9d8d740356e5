"""Appointments, as a citizen asks for them and looks them up."""

from uuid import UUID

from govid.bus import Cause, Principal, UnitOfWork, rerun_on_conflict
from govid.bus.contracts import AppointmentRequested
from govid.nhs.errors import AccountIsBlocked, AppointmentNotFound, BookingIsOff
from govid.nhs.holders import Holders
from govid.nhs.quotas import AccountQuotas
from govid.nhs.repository import Accounts, Appointments
from govid.nhs.schemas import RequestAppointment, Versioned


class AppointmentDesk:
    """Takes wishes for appointments; somebody else decides about them."""

    def __init__(
        self,
        uow: UnitOfWork,
        accounts: Accounts,
        appointments: Appointments,
        holders: Holders,
        quotas: AccountQuotas,
        *,
        is_open: bool,
    ) -> None:
        """Take wishes only where there is somebody to decide: with *is_open*.

        *holders* say who may ask for whom.
        """
        self._uow = uow
        self._accounts = accounts
        self._appointments = appointments
        self._is_open = is_open
        self._holders = holders
        self._quotas = quotas

    @rerun_on_conflict
    async def request(
        self, wish: RequestAppointment, principal: Principal, cause: Cause
    ) -> Versioned:
        """Store *wish* and let it be decided.

        Raises:
            AccountIsBlocked: the account was blocked while this request was on its way.
            BookingIsOff: nobody could decide.
            StepUpRequired: the principal is not known well enough.
            NotYourNumber: it is for somebody else.
            QuotaReached, RateExceeded: the account has as many, or has asked as often, as it may.
        """
        if not self._is_open:
            raise BookingIsOff
        await self._holders.check(principal, wish.patient_identifier)
        async with self._uow.begin(cause) as tx:
            if await self._accounts.lock(tx, principal.account_id):
                raise AccountIsBlocked
            await self._quotas.check_live_appointments(
                tx, principal.account_id, wish.doctor_specialty
            )
            await self._quotas.count_change(tx, principal.account_id)
            added = await self._appointments.add(tx, principal.account_id, wish)
            appointment = added.view
            tx.emit(
                AppointmentRequested(
                    appointment_id=appointment.appointment_id,
                    user_id=appointment.user_id,
                    patient_identifier=appointment.patient_identifier,
                    requested_datetime=appointment.requested_datetime,
                    doctor_specialty=appointment.doctor_specialty,
                    reason=appointment.reason,
                    timestamp=tx.now,
                    correlation_id=cause.correlation_id,
                )
            )
        return added

    async def look_up(self, appointment_id: UUID, principal: Principal) -> Versioned:
        """Return the principal's own appointment.

        Raises:
            AppointmentNotFound: there is none, or it is another's.
        """
        appointment = await self._appointments.find(principal.account_id, appointment_id)
        if appointment is None:
            raise AppointmentNotFound
        return appointment

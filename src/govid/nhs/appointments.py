"""Stores appointment requests and reads appointments of the account holder."""

from uuid import UUID

from govid.bus import OperationContext, Principal, UnitOfWork, rerun_on_conflict
from govid.bus.contracts import AppointmentRequested
from govid.nhs.errors import AccountIsBlocked, AppointmentNotFound, BookingDisabled
from govid.nhs.holders import BookingEligibility
from govid.nhs.quotas import AccountQuotas
from govid.nhs.repository import Accounts, AppointmentRepository
from govid.nhs.schemas import RequestAppointment, Versioned


class AppointmentRequests:
    """Stores appointment requests without a chosen slot; the booking handler decides them later."""

    def __init__(
        self,
        uow: UnitOfWork,
        accounts: Accounts,
        appointments: AppointmentRepository,
        eligibility: BookingEligibility,
        quotas: AccountQuotas,
        *,
        accepts_requests: bool,
    ) -> None:
        """Accept requests only with *accepts_requests*: if a component exists that decides them.

        *eligibility* tells for which NHS number an account may book.
        """
        self._uow = uow
        self._accounts = accounts
        self._appointments = appointments
        self._accepts_requests = accepts_requests
        self._eligibility = eligibility
        self._quotas = quotas

    @rerun_on_conflict
    async def submit(
        self, request: RequestAppointment, principal: Principal, context: OperationContext
    ) -> Versioned:
        """Store *request* and emit the event on which the booking handler decides it.

        Raises:
            AccountIsBlocked: the account was blocked while this request was being processed.
            BookingDisabled: no component could decide the request.
            StepUpRequired: the identity assurance of the principal is too low.
            NhsNumberNotYours: the NHS number is not the principal's own.
            QuotaReached, RateExceeded: the account has reached a quota or a rate limit.
        """
        if not self._accepts_requests:
            raise BookingDisabled
        await self._eligibility.require_own_number(principal, request.patient_identifier)
        async with self._uow.begin(context) as tx:
            if await self._accounts.lock(tx, principal.account_id):
                raise AccountIsBlocked
            await self._quotas.check_live_appointments(
                tx, principal.account_id, request.doctor_specialty
            )
            await self._quotas.count_change(tx, principal.account_id)
            added = await self._appointments.insert_request(tx, principal.account_id, request)
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
                    correlation_id=context.correlation_id,
                )
            )
        return added

    async def fetch_own(self, appointment_id: UUID, principal: Principal) -> Versioned:
        """Return the principal's own appointment.

        Raises:
            AppointmentNotFound: it does not exist or belongs to another account.
        """
        appointment = await self._appointments.find(principal.account_id, appointment_id)
        if appointment is None:
            raise AppointmentNotFound
        return appointment

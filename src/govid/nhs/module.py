"""Builds the NHS module: clients, use cases, routes and event subscribers."""

from collections.abc import Callable, Collection, Sequence
from functools import partial

from govid.bus import (
    BlockedAccounts,
    Clock,
    Database,
    Module,
    QuotaCleanup,
    QuotaCounters,
    Subscriber,
    UnitOfWork,
)
from govid.bus.events import (
    AccountBlocked,
    AccountClosed,
    AccountRestored,
    AppointmentDecided,
    AppointmentRequested,
    AppointmentSlotHeld,
    IdentifierType,
    VerificationRequested,
)
from govid.bus.shared.identifiers import ClaimedFactsSource, VerifiedIdentifierLookup
from govid.bus.upstream import UpstreamMetrics
from govid.nhs.account_events import AccountStatusHandler
from govid.nhs.appointments import AppointmentBookings, AppointmentRequests
from govid.nhs.booking_handler import BookingHandler, SlotAssignment
from govid.nhs.clients.factory import build_clients
from govid.nhs.controllers import router
from govid.nhs.eligibility import AccountQuotas, BookingEligibility
from govid.nhs.models import Account
from govid.nhs.patient_records import PatientRecords
from govid.nhs.practice_booking import PracticeBookings, SlotAvailability
from govid.nhs.repository import (
    AppointmentRepository,
    IdempotencyKeys,
    PatientRepository,
    SlotHoldRepository,
)
from govid.nhs.settings import NhsSettings
from govid.nhs.simulator import NhsSimulator
from govid.nhs.slots import AppointmentStatus
from govid.nhs.verification import VerificationHandler

VERIFICATION_SUBSCRIBER = "nhs.verification"
BOOKING_SUBSCRIBER = "nhs.booking"


def build_subscribers(
    verification: VerificationHandler, booking: BookingHandler, account_status: AccountStatusHandler
) -> Sequence[Subscriber]:
    """Return the module's subscribers. Their names are stored and must never change (I10)."""
    return (
        Subscriber(
            name=VERIFICATION_SUBSCRIBER,
            handles=(VerificationRequested,),
            predicate=lambda event: event.identifier_type is IdentifierType.NHS,
            handler=verification,
            grouped=False,
        ),
        Subscriber(
            name=BOOKING_SUBSCRIBER,
            handles=(AppointmentRequested, AppointmentSlotHeld, AppointmentDecided),
            predicate=lambda event: (
                not isinstance(event, AppointmentDecided)
                or event.status == AppointmentStatus.CANCELLED
            ),
            handler=booking,
            grouped=False,
        ),
        Subscriber(
            name="nhs.appointments",
            handles=(AccountBlocked, AccountClosed, AccountRestored),
            handler=account_status,
            grouped=False,
        ),
    )


def build(
    settings: NhsSettings,
    database: Database,
    uow: UnitOfWork,
    clock: Clock,
    metrics: UpstreamMetrics | None = None,
    facts: ClaimedFactsSource | None = None,
    on_recovered: Callable[[Collection[str], bool], None] | None = None,
    on_simulator: Callable[[NhsSimulator], None] | None = None,
    verified_identifiers: VerifiedIdentifierLookup | None = None,
) -> Module:
    """Build the module: its routes below `/api/nhs` and its subscribers.

    *facts* returns the claimed facts of an account; *metrics* counts requests to the NHS;
    *on_recovered* is called with the subscribers to resume after an outage, and with whether the
    recovery is certain; *on_simulator* receives the simulator, if one replaces the NHS;
    *verified_identifiers* tells for which account an identifier was verified.

    Raises:
        ValueError: the private key is invalid, or the simulator's fault is unknown.
    """
    # Each read is a single statement, which needs no BEGIN and no COMMIT.
    reads = database.requests.execution_options(isolation_level="AUTOCOMMIT")
    accounts, patients, appointments = (
        BlockedAccounts(Account.__table__),
        PatientRepository(reads),
        AppointmentRepository(reads),
    )
    clients = build_clients(settings, clock, metrics)
    if on_recovered is not None:
        clients.on_recovery(partial(on_recovered, (VERIFICATION_SUBSCRIBER, BOOKING_SUBSCRIBER)))
    if on_simulator is not None and clients.simulator is not None:
        on_simulator(clients.simulator)

    counters = QuotaCounters("nhs.quota")
    quotas = AccountQuotas(uow, counters, settings.quotas)
    patient_records = PatientRecords(
        uow,
        accounts,
        patients,
        quotas,
        verified_identifiers,
        accept_prototype_nhs=settings.accept_prototype_nhs,
    )
    eligibility = BookingEligibility(patients, own_number_only=clients.own_number_only)
    requests = AppointmentRequests(
        uow,
        accounts,
        appointments,
        eligibility,
        quotas,
        accepts_requests=clients.takes_bookings,
    )
    holds, idempotency_keys = SlotHoldRepository(reads), IdempotencyKeys(reads)
    services = {one.specialty: one.service for one in clients.directory}
    availability = SlotAvailability(clients.practice_client, services, holds, clock)
    bookings = AppointmentBookings(
        uow,
        availability,
        accounts,
        appointments,
        holds,
        idempotency_keys,
        eligibility,
        quotas,
        accept_prototype_nhs=settings.accept_prototype_nhs,
    )
    return Module(
        name="nhs",
        routes=(router(patient_records, requests, availability, bookings, quotas),),
        subscribers=build_subscribers(
            VerificationHandler(clients.registry, accounts, patients, facts),
            BookingHandler(
                clients.provider,
                SlotAssignment(availability, eligibility, accounts, appointments, holds),
                PracticeBookings(clients.practice_client),
                appointments,
                holds,
            ),
            AccountStatusHandler(accounts, patients, appointments, idempotency_keys),
        ),
        tasks=(QuotaCleanup(uow, counters, "nhs").run,),
        stops=clients.stops,
        states={"nhs": clients.state},
    )

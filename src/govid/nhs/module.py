"""Builds the NHS module: clients, use cases, routes and event subscribers."""

from collections.abc import Callable, Collection
from functools import partial

from govid.bus import Clock, Database, Module, QuotaCleanup, Quotas, UnitOfWork
from govid.bus.contracts.facts import FactsOfAccounts, VerifiedIdentifiers
from govid.bus.upstream import UpstreamMetrics
from govid.nhs.appointments import AppointmentDesk
from govid.nhs.booking import Booking
from govid.nhs.bookings import BookingDesk
from govid.nhs.cancellation import Cancellation
from govid.nhs.controllers import router
from govid.nhs.handlers import BOOKING, VERIFICATION, consumers
from govid.nhs.holders import Holders
from govid.nhs.openings import Openings
from govid.nhs.patients import PatientFiling
from govid.nhs.ports import open_ports
from govid.nhs.practice_orders import PracticeOrders
from govid.nhs.quotas import AccountQuotas
from govid.nhs.repository import Accounts, Answers, Appointments, Holds, Patients
from govid.nhs.settings import NhsSettings
from govid.nhs.simulator import NhsSimulator
from govid.nhs.verification import Verification
from govid.nhs.wishes import Wishes


def build(
    settings: NhsSettings,
    database: Database,
    uow: UnitOfWork,
    clock: Clock,
    metrics: UpstreamMetrics | None = None,
    facts: FactsOfAccounts | None = None,
    recovered: Callable[[Collection[str], bool], None] | None = None,
    rehearse: Callable[[NhsSimulator], None] | None = None,
    verified: VerifiedIdentifiers | None = None,
) -> Module:
    """Build the module: its routes below `/api/nhs` and its subscribers.

    *facts* returns the claimed facts of an account; *metrics* counts requests to the NHS;
    *recovered* is called with the subscribers to resume after an outage, and with whether the
    recovery is certain; *rehearse* receives the simulator, if one replaces the NHS; *verified*
    tells for which account an identifier was verified.

    Raises:
        ValueError: the private key is invalid, or the simulator's fault is unknown.
    """
    # Each read is a single statement, which needs no BEGIN and no COMMIT.
    reads = database.requests.execution_options(isolation_level="AUTOCOMMIT")
    accounts, patients, appointments = Accounts(), Patients(reads), Appointments(reads)
    clients = open_ports(settings, clock, metrics)
    if recovered is not None:
        clients.on_recovery(partial(recovered, (VERIFICATION, BOOKING)))
    if rehearse is not None and clients.simulator is not None:
        rehearse(clients.simulator)

    counters = Quotas("nhs.quota")
    quotas = AccountQuotas(uow, counters, settings.quotas)
    patient_records = PatientFiling(
        uow,
        accounts,
        patients,
        quotas,
        verified,
        prototype_form=settings.accept_prototype_form,
    )
    eligibility = Holders(patients, own_number_only=clients.holders_only)
    requests = AppointmentDesk(
        uow,
        accounts,
        appointments,
        eligibility,
        quotas,
        accepts_requests=clients.takes_bookings,
    )
    holds, idempotency_keys = Holds(reads), Answers(reads)
    services = {one.specialty: one.service for one in clients.directory}
    availability = Openings(clients.practices, services, holds, clock)
    bookings = BookingDesk(
        uow,
        availability,
        accounts,
        appointments,
        holds,
        idempotency_keys,
        eligibility,
        quotas,
        prototype_form=settings.accept_prototype_form,
    )
    return Module(
        name="nhs",
        routes=(router(patient_records, requests, availability, bookings, quotas),),
        consumers=consumers(
            Verification(clients.registry, accounts, patients, facts),
            Booking(
                clients.provider,
                Wishes(availability, eligibility, accounts, appointments, holds),
                PracticeOrders(clients.practices),
                appointments,
                holds,
            ),
            Cancellation(accounts, patients, appointments, idempotency_keys),
        ),
        tasks=(QuotaCleanup(uow, counters, "nhs").run,),
        stops=clients.stops,
        states={"nhs": clients.state},
    )

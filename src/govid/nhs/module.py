"""The NHS module, put together."""

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

    *facts* knows what the holders of accounts claim to be; *metrics* counts calls to the NHS;
    *recovered* is told which subscribers may go on, as the NHS is back, and whether that is sure;
    *rehearse* is given a simulator that stands in for the NHS; *verified* knows for whom numbers
    were verified.

    Raises:
        ValueError: the private key is none, or the simulator's fault is unknown.
    """
    # A list or a look-up is one statement, which needs no BEGIN and no COMMIT around it.
    reads = database.requests.execution_options(isolation_level="AUTOCOMMIT")
    accounts, patients, appointments = Accounts(), Patients(reads), Appointments(reads)
    ports = open_ports(settings, clock, metrics)
    if recovered is not None:
        ports.on_recovery(partial(recovered, (VERIFICATION, BOOKING)))
    if rehearse is not None and ports.simulator is not None:
        rehearse(ports.simulator)

    counters = Quotas("nhs.quota")
    quotas = AccountQuotas(uow, counters, settings.quotas)
    filing = PatientFiling(
        uow,
        accounts,
        patients,
        quotas,
        verified,
        prototype_form=settings.accept_prototype_form,
    )
    holders = Holders(patients, is_strict=ports.holders_only)
    desk = AppointmentDesk(
        uow,
        accounts,
        appointments,
        holders,
        quotas,
        is_open=ports.takes_bookings,
    )
    holds, answers = Holds(reads), Answers(reads)
    services = {one.specialty: one.service for one in ports.directory}
    openings = Openings(ports.practices, services, holds, clock)
    bookings = BookingDesk(
        uow,
        openings,
        accounts,
        appointments,
        holds,
        answers,
        holders,
        quotas,
        prototype_form=settings.accept_prototype_form,
    )
    return Module(
        name="nhs",
        routes=(router(filing, desk, openings, bookings, quotas),),
        consumers=consumers(
            Verification(ports.registry, accounts, patients, facts),
            Booking(
                ports.provider,
                Wishes(openings, holders, accounts, appointments, holds),
                PracticeOrders(ports.practices),
                appointments,
                holds,
            ),
            Cancellation(accounts, patients, appointments, answers),
        ),
        tasks=(QuotaCleanup(uow, counters, "nhs").run,),
        stops=ports.stops,
        states={"nhs": ports.state},
    )

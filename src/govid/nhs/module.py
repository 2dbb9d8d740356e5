"""The NHS module, put together."""

from govid.bus import Clock, Database, Module, UnitOfWork
from govid.nhs.appointments import AppointmentDesk
from govid.nhs.booking import Booking
from govid.nhs.cancellation import Cancellation
from govid.nhs.controllers import router
from govid.nhs.handlers import consumers
from govid.nhs.patients import PatientFiling
from govid.nhs.registry.local import LocalAppointmentProvider, LocalPatientRegistry
from govid.nhs.registry.off import OffAppointmentProvider, OffPatientRegistry
from govid.nhs.registry.protocol import AppointmentProvider, PatientRegistry
from govid.nhs.repository import Accounts, Appointments, Patients
from govid.nhs.settings import NhsSettings
from govid.nhs.verification import Verification


def build(settings: NhsSettings, database: Database, uow: UnitOfWork, clock: Clock) -> Module:
    """Build the module: its routes below `/api/nhs` and its subscribers."""
    # A list or a look-up is one statement, which needs no BEGIN and no COMMIT around it.
    reads = database.requests.execution_options(isolation_level="AUTOCOMMIT")
    accounts, patients, appointments = Accounts(), Patients(reads), Appointments(reads)
    registry, provider = _departments(settings, clock)

    filing = PatientFiling(uow, patients, prototype_form=settings.accept_prototype_form)
    desk = AppointmentDesk(uow, accounts, appointments, is_open=settings.registry != "off")
    return Module(
        name="nhs",
        routes=(router(filing, desk),),
        consumers=consumers(
            Verification(registry, accounts, patients),
            Booking(provider, appointments),
            Cancellation(accounts, patients, appointments),
        ),
    )


def _departments(
    settings: NhsSettings, clock: Clock
) -> tuple[PatientRegistry, AppointmentProvider]:
    if settings.registry == "off":
        return OffPatientRegistry(), OffAppointmentProvider()
    return (
        LocalPatientRegistry(prototype_form=settings.accept_prototype_form),
        LocalAppointmentProvider(clock),
    )

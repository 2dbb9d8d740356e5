"""Which NHS is asked: the real one, a simulated one, or none."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec

from govid.bus import Clock
from govid.bus.upstream import Department, UpstreamMetrics, in_process
from govid.nhs.registry import connection
from govid.nhs.registry.local import (
    ByFormWithoutFacts,
    LocalAppointmentProvider,
    LocalPatientRegistry,
)
from govid.nhs.registry.oauth import Credentials
from govid.nhs.registry.off import OffAppointmentProvider, OffPatientRegistry
from govid.nhs.registry.practices import Practices
from govid.nhs.registry.protocol import AppointmentProvider, PatientRegistry
from govid.nhs.settings import NhsSettings
from govid.nhs.simulator import BASE_URL, SERVICES, NhsSimulator

_ODS = "Y12345"
"""As whom govid books at simulated practices: an organisation that the NHS made up."""


class Ports(msgspec.Struct, frozen=True, kw_only=True):
    """What stands at each port. `state` says how the NHS is, in a word for `/health`."""

    registry: PatientRegistry
    provider: AppointmentProvider
    practices: Practices | None = None
    """Whom to ask about slots, if anybody."""
    services: Mapping[str, str] = {}
    """The practices' numbers in the Directory of Services, by specialty."""
    takes_bookings: bool
    """Whether there is somebody who decides about appointments."""
    state: Callable[[], str]
    stops: Sequence[Callable[[], Awaitable[None]]] = ()
    on_recovery: Callable[[Callable[[], None]], None] = lambda _: None
    """Takes who wants to know when the NHS is back."""


def open_ports(settings: NhsSettings, clock: Clock, metrics: UpstreamMetrics | None) -> Ports:
    """Return what *settings* want.

    Raises:
        ValueError: the private key is none, or the simulator's fault is unknown.
        RuntimeError: a simulator was wanted where there may be none.
    """
    match settings.registry:
        case "remote":
            return _remote(settings, clock, metrics)
        case "simulator":
            return _simulated(settings, clock, metrics)
        case "off":
            return Ports(
                registry=OffPatientRegistry(),
                provider=OffAppointmentProvider(),
                takes_bookings=False,
                state=lambda: "off",
            )


def _remote(settings: NhsSettings, clock: Clock, metrics: UpstreamMetrics | None) -> Ports:
    key = connection.checked_key(settings.private_key)
    department = Department("nhs", metrics=metrics, refuse_simulators=not settings.may_be_simulated)
    registry = connection.registry(
        department,
        settings.base_url,
        Credentials(client_id=settings.client_id, kid=settings.kid, key=lambda: key),
        clock,
        per_second=_per_second(settings),
    )
    return Ports(
        registry=registry,
        # Nobody has let govid book yet.
        provider=OffAppointmentProvider(),
        takes_bookings=False,
        state=lambda: department.state,
        stops=(department.close,),
        on_recovery=department.on_recovery,
    )


def _simulated(settings: NhsSettings, clock: Clock, metrics: UpstreamMetrics | None) -> Ports:
    """Let the same adapter ask an NHS in this process."""
    simulator = NhsSimulator(
        clock=clock,
        fault=settings.simulator_fault,
        is_limited=not settings.are_limits_lifted,
        is_allowed=settings.may_be_simulated,
    )
    department = Department("nhs", metrics=metrics, transport=in_process(simulator.application))
    credentials = Credentials(
        client_id=simulator.client_id, kid=simulator.kid, key=lambda: simulator.key.pem
    )
    registry = connection.registry(
        department, BASE_URL, credentials, clock, per_second=_per_second(settings)
    )
    by_form = LocalPatientRegistry(prototype_form=settings.accept_prototype_form)
    return Ports(
        registry=ByFormWithoutFacts(registry, by_form),
        provider=LocalAppointmentProvider(clock),
        practices=connection.practices(department, BASE_URL, credentials, clock, _ODS),
        services={specialty: number for number, specialty in SERVICES.items()},
        takes_bookings=True,
        state=lambda: "simulator" if department.state == "ok" else department.state,
        stops=(department.close,),
        on_recovery=department.on_recovery,
    )


def _per_second(settings: NhsSettings) -> float | None:
    return None if settings.are_limits_lifted else connection.PER_SECOND

"""Which NHS is asked: the real one, a simulated one, or none."""

from collections.abc import Awaitable, Callable, Sequence

import msgspec

from govid.bus import Clock
from govid.bus.upstream import Department, Policy, UpstreamMetrics, in_process
from govid.nhs.registry.connection import Connection, checked_key
from govid.nhs.registry.local import (
    ByFormWithoutFacts,
    LocalAppointmentProvider,
    LocalPatientRegistry,
)
from govid.nhs.registry.oauth import Credentials
from govid.nhs.registry.off import OffAppointmentProvider, OffPatientRegistry
from govid.nhs.registry.parties import Sender
from govid.nhs.registry.practices import Practices
from govid.nhs.registry.protocol import AppointmentProvider, PatientRegistry
from govid.nhs.settings import NhsSettings, Practice
from govid.nhs.simulator import BASE_URL, ENDPOINT, ODS, SERVICES, NhsSimulator

SIMULATED = tuple(
    Practice(specialty=specialty, service=number, ods=ODS) for number, specialty in SERVICES.items()
)
"""The practices of a simulated NHS."""


class Ports(msgspec.Struct, frozen=True, kw_only=True):
    """What stands at each port. `state` says how the NHS is, in a word for `/health`."""

    registry: PatientRegistry
    provider: AppointmentProvider | None
    """Who decides about wishes without a slot; None where a slot is looked for."""
    practices: Practices | None = None
    """Whom to ask about slots, if anybody."""
    directory: Sequence[Practice] = ()
    """Which of them takes whom."""
    takes_bookings: bool
    """Whether there is somebody who decides about appointments."""
    holders_only: bool = False
    """Whether citizens may book for themselves only: a practice takes govid's word for it."""
    state: Callable[[], str]
    stops: Sequence[Callable[[], Awaitable[None]]] = ()
    on_recovery: Callable[[Callable[[bool], None]], None] = lambda _: None
    """Takes who wants to know when the NHS is back (True), or may be (False)."""
    simulator: NhsSimulator | None = None
    """What stands in for the NHS in this process."""


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
    key = checked_key(settings.private_key)
    department = Department("nhs", metrics=metrics, refuse_simulators=not settings.may_be_simulated)
    credentials = Credentials(client_id=settings.client_id, kid=settings.kid, key=lambda: key)
    connection = Connection(
        department, settings.base_url, credentials, clock, policy=_policy(settings)
    )
    books = settings.takes_bookings and bool(settings.practices)
    sender = Sender(ods=settings.ods, endpoint=settings.endpoint)
    return Ports(
        registry=connection.registry(),
        provider=None if books else OffAppointmentProvider(),
        practices=connection.practices(sender, settings.practices) if books else None,
        directory=settings.practices if books else (),
        takes_bookings=books,
        holders_only=True,
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
    connection = Connection(department, BASE_URL, credentials, clock, policy=_policy(settings))
    books = settings.takes_bookings
    by_form = LocalPatientRegistry(prototype_form=settings.accept_prototype_form)
    return Ports(
        registry=ByFormWithoutFacts(connection.registry(), by_form),
        # The contract's wishes are for any time at all, which no diary has.
        provider=LocalAppointmentProvider(clock) if books else OffAppointmentProvider(),
        practices=(
            connection.practices(Sender(ods=ODS, endpoint=ENDPOINT), SIMULATED) if books else None
        ),
        directory=SIMULATED if books else (),
        takes_bookings=books,
        state=lambda: "simulator" if department.state == "ok" else department.state,
        stops=(department.close,),
        on_recovery=department.on_recovery,
        simulator=simulator,
    )


def _policy(settings: NhsSettings) -> Policy | None:
    return Policy() if settings.are_limits_lifted else None

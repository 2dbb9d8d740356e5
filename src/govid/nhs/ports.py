"""Builds the clients of the NHS that the settings name: real, simulated, or off."""

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
"""Practices of the simulated NHS."""


class Ports(msgspec.Struct, frozen=True, kw_only=True):
    """Clients of the NHS and their lifecycle. `state` is the value that `/health` shows."""

    registry: PatientRegistry
    provider: AppointmentProvider | None
    """Decides requests without a slot; None if a free slot is assigned instead."""
    practices: Practices | None = None
    """Client for slots and appointments; None if there is none."""
    directory: Sequence[Practice] = ()
    """Practices by specialty."""
    takes_bookings: bool
    """Whether appointment requests can be decided."""
    holders_only: bool = False
    """Whether citizens may book for themselves only: a practice trusts the number it receives."""
    state: Callable[[], str]
    stops: Sequence[Callable[[], Awaitable[None]]] = ()
    on_recovery: Callable[[Callable[[bool], None]], None] = lambda _: None
    """Registers a callback for the end of an outage: certain (True) or likely (False)."""
    simulator: NhsSimulator | None = None
    """Simulator that replaces the NHS in this process."""


def open_ports(settings: NhsSettings, clock: Clock, metrics: UpstreamMetrics | None) -> Ports:
    """Build the clients that *settings* name.

    Raises:
        ValueError: the private key is invalid, or the simulator's fault is unknown.
        RuntimeError: a simulator is configured but not allowed.
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
    """Build the same clients on a simulator in this process."""
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
        # The API contract accepts requests for any time, which no practice offers.
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

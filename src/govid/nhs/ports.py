"""Builds the clients of the NHS that the settings name: real, simulated, or off."""

from collections.abc import Awaitable, Callable, Sequence

import msgspec

from govid.bus import Clock
from govid.bus.upstream import Department, RequestPolicy, UpstreamMetrics, in_process_transport
from govid.nhs.registry.connection import NhsConnection, validate_private_key
from govid.nhs.registry.local import (
    FormatOnlyVerifier,
    LocalAppointmentProvider,
    LocalPatientRegistry,
)
from govid.nhs.registry.oauth import SigningCredentials
from govid.nhs.registry.off import OffAppointmentProvider, OffPatientRegistry
from govid.nhs.registry.parties import BookingSender
from govid.nhs.registry.practices import PracticeClient
from govid.nhs.registry.protocol import AppointmentProvider, PatientRegistry
from govid.nhs.settings import NhsSettings, Practice
from govid.nhs.simulator import BASE_URL, SERVICES, SIMULATED_ENDPOINT, SIMULATED_ODS, NhsSimulator

SIMULATED_PRACTICES = tuple(
    Practice(specialty=specialty, service=number, ods=SIMULATED_ODS)
    for number, specialty in SERVICES.items()
)
"""Practices of the simulated NHS."""


class Clients(msgspec.Struct, frozen=True, kw_only=True):
    """Clients of the NHS and their lifecycle. `state` is the value that `/health` shows."""

    registry: PatientRegistry
    provider: AppointmentProvider | None
    """Decides requests without a slot; None if a free slot is assigned instead."""
    practices: PracticeClient | None = None
    """Client for slots and appointments; None if there is none."""
    directory: Sequence[Practice] = ()
    """Practices by specialty."""
    takes_bookings: bool
    """Whether appointment requests can be decided."""
    own_number_only: bool = False
    """Whether citizens may book for themselves only: a practice trusts the number it receives."""
    state: Callable[[], str]
    stops: Sequence[Callable[[], Awaitable[None]]] = ()
    on_recovery: Callable[[Callable[[bool], None]], None] = lambda _: None
    """Registers a callback for the end of an outage: certain (True) or likely (False)."""
    simulator: NhsSimulator | None = None
    """Simulator that replaces the NHS in this process."""


def build_clients(settings: NhsSettings, clock: Clock, metrics: UpstreamMetrics | None) -> Clients:
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
            return Clients(
                registry=OffPatientRegistry(),
                provider=OffAppointmentProvider(),
                takes_bookings=False,
                state=lambda: "off",
            )


def _remote(settings: NhsSettings, clock: Clock, metrics: UpstreamMetrics | None) -> Clients:
    key = validate_private_key(settings.private_key)
    department = Department("nhs", metrics=metrics, refuse_simulators=not settings.may_be_simulated)
    credentials = SigningCredentials(
        client_id=settings.client_id, kid=settings.kid, key=lambda: key
    )
    connection = NhsConnection(
        department, settings.base_url, credentials, clock, policy=_policy(settings)
    )
    books = settings.takes_bookings and bool(settings.practices)
    sender = BookingSender(ods=settings.ods, endpoint=settings.endpoint)
    return Clients(
        registry=connection.build_patient_registry(),
        provider=None if books else OffAppointmentProvider(),
        practices=connection.build_practice_client(sender, settings.practices) if books else None,
        directory=settings.practices if books else (),
        takes_bookings=books,
        own_number_only=True,
        state=lambda: department.state,
        stops=(department.close,),
        on_recovery=department.on_recovery,
    )


def _simulated(settings: NhsSettings, clock: Clock, metrics: UpstreamMetrics | None) -> Clients:
    """Build the same clients on a simulator in this process."""
    simulator = NhsSimulator(
        clock=clock,
        fault=settings.simulator_fault,
        is_limited=not settings.are_limits_lifted,
        is_allowed=settings.may_be_simulated,
    )
    department = Department(
        "nhs", metrics=metrics, transport=in_process_transport(simulator.application)
    )
    credentials = SigningCredentials(
        client_id=simulator.client_id, kid=simulator.kid, key=lambda: simulator.key.pem
    )
    connection = NhsConnection(department, BASE_URL, credentials, clock, policy=_policy(settings))
    books = settings.takes_bookings
    by_form = LocalPatientRegistry(prototype_form=settings.accept_prototype_form)
    return Clients(
        registry=FormatOnlyVerifier(connection.build_patient_registry(), by_form),
        # The API contract accepts requests for any time, which no practice offers.
        provider=LocalAppointmentProvider(clock) if books else OffAppointmentProvider(),
        practices=(
            connection.build_practice_client(
                BookingSender(ods=SIMULATED_ODS, endpoint=SIMULATED_ENDPOINT), SIMULATED_PRACTICES
            )
            if books
            else None
        ),
        directory=SIMULATED_PRACTICES if books else (),
        takes_bookings=books,
        state=lambda: "simulator" if department.state == "ok" else department.state,
        stops=(department.close,),
        on_recovery=department.on_recovery,
        simulator=simulator,
    )


def _policy(settings: NhsSettings) -> RequestPolicy | None:
    return RequestPolicy() if settings.are_limits_lifted else None

"""Builds the clients of the NHS that the settings name: real, simulated, or off.

All clients of one NHS share its base URL, its rate limit and one access token.
"""

from collections.abc import Awaitable, Callable, Sequence

import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from msgspec import structs

from govid.bus import Clock
from govid.bus.upstream import (
    Department,
    RequestPolicy,
    UpstreamMetrics,
    in_process_transport,
    rate_limited,
)
from govid.nhs.clients.bars import BarsClient
from govid.nhs.clients.bars_messages import BookingSender
from govid.nhs.clients.interfaces import AppointmentProvider, PatientRegistry, PracticeClient
from govid.nhs.clients.local import (
    DisabledAppointmentProvider,
    DisabledPatientRegistry,
    FormatOnlyVerifier,
    LocalAppointmentProvider,
    LocalPatientRegistry,
)
from govid.nhs.clients.oauth import SigningCredentials, build_token_client
from govid.nhs.clients.patient_registry import PdsPatientRegistry
from govid.nhs.clients.pds import PdsClient
from govid.nhs.settings import NhsSettings, Practice
from govid.nhs.simulator import BASE_URL, SERVICES, SIMULATED_ENDPOINT, SIMULATED_ODS, NhsSimulator

REQUESTS_PER_SECOND = 4.5
"""Requests a second, slightly below the five that the NHS allows an application."""
RESERVED_FOR_VERIFICATION = 1.0
"""Requests a second that are reserved for verification."""

_BARS_PATH = "/booking-and-referral/FHIR/R4"
_PDS_PATH = "/personal-demographics/FHIR/R4"


class NhsConnection:
    """Builds the clients of the NHS at one base URL, with one set of credentials."""

    def __init__(
        self,
        department: Department,
        base_url: str,
        credentials: SigningCredentials,
        clock: Clock,
        *,
        policy: RequestPolicy | None = None,
    ) -> None:
        """Reach *base_url* through *department*; *policy* replaces the NHS's own rate limit."""
        self._department = department
        self._base_url = base_url.rstrip("/")
        self._clock = clock
        policy = policy or RequestPolicy(per_second=REQUESTS_PER_SECOND)
        # The NHS counts the requests of an application over all its APIs.
        self._limiter = rate_limited(policy.per_second)
        self._policy = structs.replace(policy, per_second=None)
        oauth = department.create_client("oauth", base_url, self._policy, self._limiter)
        self._tokens = build_token_client(oauth, credentials, clock).build_cache()

    def build_patient_registry(self) -> PdsPatientRegistry:
        """Return the patient registry on PDS."""
        url = f"{self._base_url}{_PDS_PATH}"
        return PdsPatientRegistry(
            PdsClient(
                self._department.create_client("pds", url, self._policy, self._limiter),
                self._tokens,
            )
        )

    def build_practice_client(
        self, sender: BookingSender, directory: Sequence[Practice]
    ) -> BarsClient:
        """Return the BaRS client for the practices of *directory*, which books for *sender*."""
        url = f"{self._base_url}{_BARS_PATH}"
        # Slot searches may use up the rate limit, so a share of it is reserved for verification.
        limiter = self._limiter.with_reserve(RESERVED_FOR_VERIFICATION) if self._limiter else None
        api = self._department.create_client("bars", url, self._policy, limiter)
        organisations = {one.service: one.ods_code for one in directory}
        return BarsClient(api, self._tokens, sender, organisations, self._clock)


def validate_private_key(pem: bytes) -> bytes:
    """Return *pem* if it is a private key that can sign assertions for the NHS.

    Raises:
        ValueError: it is not; the text does not contain it.
    """
    try:
        key = load_pem_private_key(pem, None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, RSAPrivateKey):
        raise ValueError(  # noqa: TRY004 - the value of a setting is wrong, not a type
            "GOVID_NHS_PRIVATE_KEY is no RSA private key in PEM without a passphrase"
        )
    return pem


SIMULATED_PRACTICES = tuple(
    Practice(specialty=specialty, service=number, ods_code=SIMULATED_ODS)
    for number, specialty in SERVICES.items()
)
"""Practices of the simulated NHS."""


class Clients(msgspec.Struct, frozen=True, kw_only=True):
    """Clients of the NHS and their lifecycle. `state` is the value that `/health` shows."""

    registry: PatientRegistry
    provider: AppointmentProvider | None
    """Decides requests without a slot; None if a free slot is assigned instead."""
    practice_client: PracticeClient | None = None
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
            return _build_remote_clients(settings, clock, metrics)
        case "simulator":
            return _build_simulated_clients(settings, clock, metrics)
        case "off":
            return Clients(
                registry=DisabledPatientRegistry(),
                provider=DisabledAppointmentProvider(),
                takes_bookings=False,
                state=lambda: "off",
            )


def _build_remote_clients(
    settings: NhsSettings, clock: Clock, metrics: UpstreamMetrics | None
) -> Clients:
    key = validate_private_key(settings.private_key)
    department = Department("nhs", metrics=metrics, refuse_simulators=not settings.may_be_simulated)
    credentials = SigningCredentials(
        client_id=settings.client_id, kid=settings.kid, key=lambda: key
    )
    connection = NhsConnection(
        department, settings.base_url, credentials, clock, policy=_build_policy(settings)
    )
    books = settings.takes_bookings and bool(settings.practices)
    sender = BookingSender(ods_code=settings.ods_code, endpoint=settings.endpoint)
    return Clients(
        registry=connection.build_patient_registry(),
        provider=None if books else DisabledAppointmentProvider(),
        practice_client=connection.build_practice_client(sender, settings.practices)
        if books
        else None,
        directory=settings.practices if books else (),
        takes_bookings=books,
        own_number_only=True,
        state=lambda: department.state,
        stops=(department.close,),
        on_recovery=department.on_recovery,
    )


def _build_simulated_clients(
    settings: NhsSettings, clock: Clock, metrics: UpstreamMetrics | None
) -> Clients:
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
    connection = NhsConnection(
        department, BASE_URL, credentials, clock, policy=_build_policy(settings)
    )
    books = settings.takes_bookings
    by_format = LocalPatientRegistry(accept_prototype_nhs=settings.accept_prototype_nhs)
    return Clients(
        registry=FormatOnlyVerifier(connection.build_patient_registry(), by_format),
        # The API contract accepts requests for any time, which no practice offers.
        provider=LocalAppointmentProvider(clock) if books else DisabledAppointmentProvider(),
        practice_client=(
            connection.build_practice_client(
                BookingSender(ods_code=SIMULATED_ODS, endpoint=SIMULATED_ENDPOINT),
                SIMULATED_PRACTICES,
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


def _build_policy(settings: NhsSettings) -> RequestPolicy | None:
    return RequestPolicy() if settings.are_limits_lifted else None

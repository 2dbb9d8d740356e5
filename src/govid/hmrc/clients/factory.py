"""Builds the clients of HMRC by settings: the real HMRC, a simulated one, or none."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
from msgspec import structs

from govid.bus import Clock
from govid.bus.upstream import (
    Department,
    RequestLimiter,
    RequestPolicy,
    UpstreamMetrics,
    in_process_transport,
    rate_limited,
)
from govid.hmrc.clients.interfaces import ConsentClient, NinoVerifier, TaxRecordClient
from govid.hmrc.clients.local import DisabledNinoVerifier, FormatOnlyVerifier, LocalNinoVerifier
from govid.hmrc.clients.nino_verifier import (
    IndividualMatchingClient,
    PersonalDataVerificationClient,
    PersonMatcher,
    RemoteNinoVerifier,
)
from govid.hmrc.clients.oauth import ClientCredentials, RemoteConsentClient, build_token_client
from govid.hmrc.clients.tax_apis import (
    AnnualSummaryClient,
    LiabilitiesClient,
    RemoteTaxRecordClient,
)
from govid.hmrc.settings import ClientKind, HmrcSettings, MatchingContract
from govid.hmrc.simulator import BASE_URL, SCOPE, HmrcSimulator

REQUESTS_PER_SECOND = 2.7
"""Slightly less than HMRC's rate limit of three a second for an application, over all APIs."""
RESERVED_FOR_VERIFICATION = 1.0
"""How many of these are reserved for verification."""
DEFAULT_POLICY = RequestPolicy()


def build_verifier(
    department: Department,
    base_url: str,
    credentials: ClientCredentials,
    contract: MatchingContract,
    *,
    pdv_path: str,
    limiter: RequestLimiter | None = None,
    policy: RequestPolicy = DEFAULT_POLICY,
) -> RemoteNinoVerifier:
    """Return a verifier that calls the API of *contract* at *base_url* through *department*."""
    limiter = limiter or rate_limited(policy.per_second)
    policy = structs.replace(policy, per_second=None)
    tokens = build_token_client(
        department.create_client("oauth", base_url, policy, limiter), credentials
    ).build_cache()
    matcher: PersonMatcher
    match contract:
        case "pdv":
            matcher = PersonalDataVerificationClient(
                department.create_client("pdv", base_url, policy, limiter), tokens, pdv_path
            )
        case "individuals-1":
            api = department.create_client("individuals", base_url, policy, limiter)
            matcher = IndividualMatchingClient(api, tokens, "1.0")
        case "individuals-2":
            api = department.create_client("individuals", base_url, policy, limiter)
            matcher = IndividualMatchingClient(api, tokens, "2.0")
    return RemoteNinoVerifier(matcher)


def build_consent_client(
    department: Department,
    base_url: str,
    credentials: ClientCredentials,
    *,
    page_url: str,
    redirect_uri: str,
    limiter: RequestLimiter | None = None,
    policy: RequestPolicy = DEFAULT_POLICY,
) -> RemoteConsentClient:
    """Return the consent client: its page is below *page_url*, its token endpoint at *base_url*."""
    api = department.create_client("consent", base_url, policy, limiter)
    return RemoteConsentClient(api, credentials, page_url=page_url, redirect_uri=redirect_uri)


def build_tax_record_client(
    department: Department,
    base_url: str,
    *,
    limiter: RequestLimiter | None = None,
    policy: RequestPolicy = DEFAULT_POLICY,
) -> RemoteTaxRecordClient:
    """Return the client of four tax APIs at *base_url*, each with its own circuit breaker."""

    def annual(subject: str, version: str) -> AnnualSummaryClient:
        api = department.create_client(f"individual-{subject}", base_url, policy, limiter)
        return AnnualSummaryClient(api, subject, version)

    return RemoteTaxRecordClient(
        tax=annual("tax", "1.1"),
        income=annual("income", "1.2"),
        employment=annual("employment", "1.2"),
        liabilities=LiabilitiesClient(
            department.create_client("self-assessment", base_url, policy, limiter)
        ),
    )


VERIFICATION_DEPARTMENT = "hmrc"
TAXES_DEPARTMENT = "hmrc-taxes"
"""Tax records have their own connections and circuit breakers, apart from verification."""


class Clients(msgspec.Struct, frozen=True, kw_only=True):
    """The clients of HMRC. `states` give the state of each for `/health`."""

    verifier: NinoVerifier
    consent: ConsentClient | None = None
    tax_records: TaxRecordClient | None = None
    """`consent` and `tax_records` are set together, or neither is."""
    states: dict[str, Callable[[], str]]
    stops: Sequence[Callable[[], Awaitable[None]]] = ()
    on_recovery: Callable[[Callable[[bool], None]], None] = lambda _: None
    """Registers a listener for the recovery of verification at HMRC."""
    simulator: HmrcSimulator | None = None
    """The simulator that replaces HMRC in this process."""
    pages: Sequence[Any] = ()
    """The simulated HMRC's web pages."""


class _ClientConfig(msgspec.Struct, frozen=True, kw_only=True):
    """How HMRC is reached for one client, and with which credentials."""

    department: Department
    base_url: str
    credentials: ClientCredentials
    is_simulated: bool

    @property
    def state(self) -> str:
        """Return the state: `simulator` or `ok` if available, otherwise the department's."""
        available = "simulator" if self.is_simulated else "ok"
        return available if self.department.state == "ok" else self.department.state


class _ClientFactory:
    """Builds the configuration of each client; all simulated clients share one simulator."""

    def __init__(
        self, settings: HmrcSettings, clock: Clock, metrics: UpstreamMetrics | None
    ) -> None:
        """Build what *settings* ask for."""
        self._settings = settings
        self._metrics = metrics
        kinds = (settings.registry, settings.tax_records)
        self.simulator = _build_simulator(settings, clock) if "simulator" in kinds else None
        # HMRC limits the calls of an application over all of its APIs.
        self.limiter: RequestLimiter | None = (
            None if settings.are_limits_lifted else rate_limited(REQUESTS_PER_SECOND)
        )
        # Reading tax records could use the whole rate limit, so verification has a reserve.
        self.low_priority_limiter = (
            self.limiter.with_reserve(RESERVED_FOR_VERIFICATION) if self.limiter else None
        )

    def configure(self, name: str, kind: ClientKind) -> _ClientConfig | None:
        """Return the configuration of *name* as *kind*, or None if it is off."""
        settings, simulator = self._settings, self.simulator
        if kind == "simulator" and simulator is not None:
            transport = in_process_transport(simulator.application)
            return _ClientConfig(
                department=Department(name, metrics=self._metrics, transport=transport),
                base_url=BASE_URL,
                credentials=ClientCredentials(
                    client_id=simulator.client_id,
                    client_secret=lambda: simulator.client_secret,
                    scope=SCOPE,
                ),
                is_simulated=True,
            )
        if kind == "remote":
            refuse = not settings.may_be_simulated
            return _ClientConfig(
                department=Department(name, metrics=self._metrics, refuse_simulators=refuse),
                base_url=settings.base_url,
                credentials=ClientCredentials(
                    client_id=settings.client_id,
                    client_secret=lambda: settings.client_secret,
                    scope=settings.scope,
                ),
                is_simulated=False,
            )
        return None


def build_clients(settings: HmrcSettings, clock: Clock, metrics: UpstreamMetrics | None) -> Clients:
    """Build the clients that *settings* ask for.

    Raises:
        ValueError: the simulator's fault is unknown.
        RuntimeError: *settings* ask for a simulator where none is allowed.
    """
    factory = _ClientFactory(settings, clock, metrics)
    verification = factory.configure(VERIFICATION_DEPARTMENT, settings.registry)
    taxes = factory.configure(TAXES_DEPARTMENT, settings.tax_records)
    configs = {VERIFICATION_DEPARTMENT: verification, TAXES_DEPARTMENT: taxes}
    clients = Clients(
        verifier=_build_verifier(verification, settings, factory.limiter),
        states={name: _state_getter(config) for name, config in configs.items()},
        stops=tuple(config.department.close for config in configs.values() if config),
        on_recovery=verification.department.on_recovery if verification else lambda _: None,
        simulator=factory.simulator,
    )
    if taxes is None:
        return clients
    return msgspec.structs.replace(
        clients,
        consent=build_consent_client(
            taxes.department,
            taxes.base_url,
            taxes.credentials,
            page_url=settings.consent_url,
            redirect_uri=settings.redirect_uri,
            limiter=factory.low_priority_limiter,
        ),
        tax_records=build_tax_record_client(
            taxes.department, taxes.base_url, limiter=factory.low_priority_limiter
        ),
        pages=factory.simulator.pages() if factory.simulator and taxes.is_simulated else (),
    )


def _build_verifier(
    config: _ClientConfig | None, settings: HmrcSettings, limiter: RequestLimiter | None
) -> NinoVerifier:
    if config is None:
        return DisabledNinoVerifier()
    remote_verifier = build_verifier(
        config.department,
        config.base_url,
        config.credentials,
        settings.contract,
        pdv_path=settings.pdv_path,
        limiter=limiter,
    )
    return (
        FormatOnlyVerifier(remote_verifier, LocalNinoVerifier())
        if config.is_simulated
        else remote_verifier
    )


def _build_simulator(settings: HmrcSettings, clock: Clock) -> HmrcSimulator:
    return HmrcSimulator(
        clock=clock,
        fault=settings.simulator_fault,
        is_limited=not settings.are_limits_lifted,
        is_allowed=settings.may_be_simulated,
        redirect_uri=settings.redirect_uri,
    )


def _state_getter(config: _ClientConfig | None) -> Callable[[], str]:
    return (lambda: config.state) if config is not None else (lambda: "off")

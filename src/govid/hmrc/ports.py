"""Which HMRC is asked: the real one, a simulated one, or none."""

from collections.abc import Awaitable, Callable, Sequence

import msgspec

from govid.bus import Clock
from govid.bus.upstream import Department, UpstreamMetrics, in_process
from govid.hmrc.registry import connection
from govid.hmrc.registry.local import ByFormWithoutFacts, LocalNinoVerifier
from govid.hmrc.registry.oauth import Credentials
from govid.hmrc.registry.off import OffNinoVerifier
from govid.hmrc.registry.protocol import NinoVerifier
from govid.hmrc.registry.remote import RemoteNinoVerifier
from govid.hmrc.settings import HmrcSettings
from govid.hmrc.simulator import BASE_URL, SCOPE, HmrcSimulator


class Ports(msgspec.Struct, frozen=True, kw_only=True):
    """What stands at the port. `state` says how HMRC is, in a word for `/health`."""

    verifier: NinoVerifier
    state: Callable[[], str]
    stops: Sequence[Callable[[], Awaitable[None]]] = ()
    on_recovery: Callable[[Callable[[], None]], None] = lambda _: None
    """Takes who wants to know when HMRC is back."""


def open_ports(settings: HmrcSettings, clock: Clock, metrics: UpstreamMetrics | None) -> Ports:
    """Return what *settings* want.

    Raises:
        ValueError: the simulator's fault is unknown.
        RuntimeError: a simulator was wanted where there may be none.
    """
    match settings.registry:
        case "remote":
            return _remote(settings, metrics)
        case "simulator":
            return _simulated(settings, clock, metrics)
        case "off":
            return Ports(verifier=OffNinoVerifier(), state=lambda: "off")


def _remote(settings: HmrcSettings, metrics: UpstreamMetrics | None) -> Ports:
    department = Department(
        "hmrc", metrics=metrics, refuse_simulators=not settings.may_be_simulated
    )
    credentials = Credentials(
        client_id=settings.client_id,
        client_secret=lambda: settings.client_secret,
        scope=settings.scope,
    )
    return Ports(
        verifier=_connected(department, settings.base_url, credentials, settings),
        state=lambda: department.state,
        stops=(department.close,),
        on_recovery=department.on_recovery,
    )


def _simulated(settings: HmrcSettings, clock: Clock, metrics: UpstreamMetrics | None) -> Ports:
    """Let the same adapter ask an HMRC in this process."""
    simulator = HmrcSimulator(
        clock=clock,
        fault=settings.simulator_fault,
        is_limited=not settings.are_limits_lifted,
        is_allowed=settings.may_be_simulated,
    )
    department = Department("hmrc", metrics=metrics, transport=in_process(simulator.application))
    credentials = Credentials(
        client_id=simulator.client_id,
        client_secret=lambda: simulator.client_secret,
        scope=SCOPE,
    )
    verifier = _connected(department, BASE_URL, credentials, settings)
    return Ports(
        verifier=ByFormWithoutFacts(verifier, LocalNinoVerifier()),
        state=lambda: "simulator" if department.state == "ok" else department.state,
        stops=(department.close,),
        on_recovery=department.on_recovery,
    )


def _connected(
    department: Department, base_url: str, credentials: Credentials, settings: HmrcSettings
) -> RemoteNinoVerifier:
    return connection.verifier(
        department,
        base_url,
        credentials,
        settings.contract,
        pdv_path=settings.pdv_path,
        per_second=None if settings.are_limits_lifted else connection.PER_SECOND,
    )

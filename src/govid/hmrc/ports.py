"""Which HMRC is asked: the real one, a simulated one, or none; and that for each port."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from govid.bus import Clock
from govid.bus.upstream import Department, Limiter, UpstreamMetrics, in_process, paced
from govid.hmrc.registry import connection
from govid.hmrc.registry.local import ByFormWithoutFacts, LocalNinoVerifier
from govid.hmrc.registry.oauth import Credentials
from govid.hmrc.registry.off import OffNinoVerifier
from govid.hmrc.registry.protocol import NinoVerifier
from govid.hmrc.registry.taxes import ConsentDesk, TaxRecords
from govid.hmrc.settings import HmrcSettings, Kind
from govid.hmrc.simulator import BASE_URL, SCOPE, HmrcSimulator

VERIFICATION = "hmrc"
TAXES = "hmrc-taxes"
"""Tax records have connections and breakers of their own: neither waits for the other's."""


class Ports(msgspec.Struct, frozen=True, kw_only=True):
    """What stands at the ports. `states` say how HMRC is, in a word each for `/health`."""

    verifier: NinoVerifier
    consent: ConsentDesk | None = None
    tax_records: TaxRecords | None = None
    """Both or neither."""
    states: dict[str, Callable[[], str]]
    stops: Sequence[Callable[[], Awaitable[None]]] = ()
    on_recovery: Callable[[Callable[[bool], None]], None] = lambda _: None
    """Takes who wants to know when HMRC verifies numbers again."""
    simulator: HmrcSimulator | None = None
    """What stands in for HMRC in this process."""
    pages: Sequence[Any] = ()
    """The simulated HMRC's own pages, for a browser."""


class _Line(msgspec.Struct, frozen=True, kw_only=True):
    """How one port's HMRC is reached, and as whom."""

    department: Department
    base_url: str
    credentials: Credentials
    is_simulated: bool

    @property
    def state(self) -> str:
        """Say how it is; a simulated one is well as a simulator."""
        well = "simulator" if self.is_simulated else "ok"
        return well if self.department.state == "ok" else self.department.state


class _Lines:
    """Opens lines, at most to one simulator."""

    def __init__(
        self, settings: HmrcSettings, clock: Clock, metrics: UpstreamMetrics | None
    ) -> None:
        """Open what *settings* want."""
        self._settings = settings
        self._metrics = metrics
        kinds = (settings.registry, settings.tax_records)
        self.simulator = _simulator(settings, clock) if "simulator" in kinds else None
        # HMRC counts what an application calls, whichever API it goes to.
        self.limiter: Limiter | None = (
            None if settings.are_limits_lifted else paced(connection.PER_SECOND)
        )
        # Citizens begin consents and read taxes as often as they like: verification keeps turns.
        self.lesser = self.limiter.reserving(connection.FOR_VERIFICATION) if self.limiter else None

    def open(self, name: str, kind: Kind) -> _Line | None:
        """Return the line *name* of the *kind*, if it is not off."""
        settings, simulator = self._settings, self.simulator
        if kind == "simulator" and simulator is not None:
            way = in_process(simulator.application)
            return _Line(
                department=Department(name, metrics=self._metrics, transport=way),
                base_url=BASE_URL,
                credentials=Credentials(
                    client_id=simulator.client_id,
                    client_secret=lambda: simulator.client_secret,
                    scope=SCOPE,
                ),
                is_simulated=True,
            )
        if kind == "remote":
            refuse = not settings.may_be_simulated
            return _Line(
                department=Department(name, metrics=self._metrics, refuse_simulators=refuse),
                base_url=settings.base_url,
                credentials=Credentials(
                    client_id=settings.client_id,
                    client_secret=lambda: settings.client_secret,
                    scope=settings.scope,
                ),
                is_simulated=False,
            )
        return None


def open_ports(settings: HmrcSettings, clock: Clock, metrics: UpstreamMetrics | None) -> Ports:
    """Return what *settings* want.

    Raises:
        ValueError: the simulator's fault is unknown.
        RuntimeError: a simulator was wanted where there may be none.
    """
    lines = _Lines(settings, clock, metrics)
    for_numbers = lines.open(VERIFICATION, settings.registry)
    for_taxes = lines.open(TAXES, settings.tax_records)
    opened = {VERIFICATION: for_numbers, TAXES: for_taxes}
    ports = Ports(
        verifier=_verifier(for_numbers, settings, lines.limiter),
        states={name: _state(line) for name, line in opened.items()},
        stops=tuple(line.department.close for line in opened.values() if line),
        on_recovery=for_numbers.department.on_recovery if for_numbers else lambda _: None,
        simulator=lines.simulator,
    )
    if for_taxes is None:
        return ports
    return msgspec.structs.replace(
        ports,
        consent=connection.consent_desk(
            for_taxes.department,
            for_taxes.base_url,
            for_taxes.credentials,
            page_url=settings.consent_url,
            redirect_uri=settings.redirect_uri,
            limiter=lines.lesser,
        ),
        tax_records=connection.tax_records(
            for_taxes.department, for_taxes.base_url, limiter=lines.lesser
        ),
        pages=lines.simulator.pages() if lines.simulator and for_taxes.is_simulated else (),
    )


def _verifier(line: _Line | None, settings: HmrcSettings, limiter: Limiter | None) -> NinoVerifier:
    if line is None:
        return OffNinoVerifier()
    asked = connection.verifier(
        line.department,
        line.base_url,
        line.credentials,
        settings.contract,
        pdv_path=settings.pdv_path,
        limiter=limiter,
    )
    return ByFormWithoutFacts(asked, LocalNinoVerifier()) if line.is_simulated else asked


def _simulator(settings: HmrcSettings, clock: Clock) -> HmrcSimulator:
    return HmrcSimulator(
        clock=clock,
        fault=settings.simulator_fault,
        is_limited=not settings.are_limits_lifted,
        is_allowed=settings.may_be_simulated,
        redirect_uri=settings.redirect_uri,
    )


def _state(line: _Line | None) -> Callable[[], str]:
    return (lambda: line.state) if line is not None else (lambda: "off")

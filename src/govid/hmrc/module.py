"""The HMRC module, put together."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial

from govid.bus import Clock, Database, Module, UnitOfWork
from govid.bus.contracts import IdentifierType
from govid.bus.contracts.facts import FactsOfAccounts
from govid.bus.contracts.identifiers import normalise
from govid.bus.upstream import UpstreamMetrics
from govid.hmrc.controllers import router
from govid.hmrc.deaths import SimulatedDeath
from govid.hmrc.erasure import Erasure
from govid.hmrc.handlers import VERIFICATION, consumers
from govid.hmrc.ports import open_ports
from govid.hmrc.repository import TaxRecords
from govid.hmrc.settings import HmrcSettings
from govid.hmrc.tax_records import TaxFiling
from govid.hmrc.verification import Verification


def build(
    settings: HmrcSettings,
    database: Database,
    uow: UnitOfWork,
    clock: Clock,
    metrics: UpstreamMetrics | None = None,
    facts: FactsOfAccounts | None = None,
    recovered: Callable[[Collection[str]], None] | None = None,
) -> Module:
    """Build the module: its routes below `/api/hmrc`, its subscribers and its simulated death.

    *facts* knows what the holders of accounts claim to be; *metrics* counts calls to HMRC;
    *recovered* is told which subscribers may go on, as HMRC is back.

    Raises:
        ValueError: the number for the simulated death is no National Insurance number, or the
            simulator's fault is unknown.
    """
    # A list is one statement, which needs no BEGIN and no COMMIT around it.
    reads = database.requests.execution_options(isolation_level="AUTOCOMMIT")
    tax_records = TaxRecords(reads)
    ports = open_ports(settings, clock, metrics)
    if recovered is not None:
        ports.on_recovery(partial(recovered, (VERIFICATION,)))
    return Module(
        name="hmrc",
        routes=(router(TaxFiling(uow, tax_records)),),
        consumers=consumers(Verification(ports.verifier, facts), Erasure(tax_records)),
        tasks=_tasks(settings, uow),
        stops=ports.stops,
        states={"hmrc": ports.state},
    )


def _tasks(settings: HmrcSettings, uow: UnitOfWork) -> Sequence[Callable[[], Awaitable[None]]]:
    if not settings.simulate_death:
        return ()
    nino = normalise(IdentifierType.NIN, settings.simulate_death_nino, prototype_form=False)
    delay_seconds = settings.simulate_death_delay_seconds
    return (SimulatedDeath(uow, nino=nino, delay_seconds=delay_seconds).run,)

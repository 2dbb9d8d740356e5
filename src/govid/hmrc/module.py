"""The HMRC module, put together."""

from collections.abc import Awaitable, Callable, Sequence

from govid.bus import Clock, Database, Module, UnitOfWork
from govid.bus.contracts import IdentifierType
from govid.bus.contracts.identifiers import normalise
from govid.hmrc.controllers import router
from govid.hmrc.deaths import SimulatedDeath
from govid.hmrc.erasure import Erasure
from govid.hmrc.handlers import consumers
from govid.hmrc.registry.local import LocalNinoVerifier
from govid.hmrc.registry.off import OffNinoVerifier
from govid.hmrc.repository import TaxRecords
from govid.hmrc.settings import HmrcSettings
from govid.hmrc.tax_records import TaxFiling
from govid.hmrc.verification import Verification


def build(settings: HmrcSettings, database: Database, uow: UnitOfWork, clock: Clock) -> Module:  # noqa: ARG001 - every module is built alike
    """Build the module: its routes below `/api/hmrc`, its subscriber and its simulated death.

    Raises:
        ValueError: the number for the simulated death is no National Insurance number.
    """
    # A list is one statement, which needs no BEGIN and no COMMIT around it.
    reads = database.requests.execution_options(isolation_level="AUTOCOMMIT")
    verifier = OffNinoVerifier() if settings.registry == "off" else LocalNinoVerifier()
    tax_records = TaxRecords(reads)
    return Module(
        name="hmrc",
        routes=(router(TaxFiling(uow, tax_records)),),
        consumers=consumers(Verification(verifier), Erasure(tax_records)),
        tasks=_tasks(settings, uow),
    )


def _tasks(settings: HmrcSettings, uow: UnitOfWork) -> Sequence[Callable[[], Awaitable[None]]]:
    if not settings.simulate_death:
        return ()
    nino = normalise(IdentifierType.NIN, settings.simulate_death_nino, prototype_form=False)
    delay_seconds = settings.simulate_death_delay_seconds
    return (SimulatedDeath(uow, nino=nino, delay_seconds=delay_seconds).run,)

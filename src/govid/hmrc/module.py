"""Builds the HMRC module: event subscriptions, periodic cleanup and wiring."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial

from govid.bus import Clock, Database, Module, QuotaCleanup, Quotas, UnitOfWork
from govid.bus.contracts import IdentifierType
from govid.bus.contracts.facts import FactsOfAccounts
from govid.bus.shared.identifiers import normalise_identifier
from govid.bus.upstream import UpstreamMetrics
from govid.hmrc.consents import TaxConsent
from govid.hmrc.controllers import router, simulated_pages
from govid.hmrc.deaths import SimulatedDeath
from govid.hmrc.erasure import Erasure
from govid.hmrc.handlers import VERIFICATION, consumers
from govid.hmrc.housekeeping import Housekeeping
from govid.hmrc.openers import Openers
from govid.hmrc.ports import open_ports
from govid.hmrc.repository import Accounts, ConsentRequests, Consents, FiledRecords
from govid.hmrc.seal import Seal
from govid.hmrc.settings import PAGES, HmrcSettings
from govid.hmrc.simulator import HmrcSimulator
from govid.hmrc.tax_reading import TaxReading
from govid.hmrc.tax_records import TaxFiling
from govid.hmrc.verification import Verification
from govid.hmrc.withdrawal import Withdrawal


def build(
    settings: HmrcSettings,
    database: Database,
    uow: UnitOfWork,
    clock: Clock,
    metrics: UpstreamMetrics | None = None,
    facts: FactsOfAccounts | None = None,
    recovered: Callable[[Collection[str], bool], None] | None = None,
    rehearse: Callable[[HmrcSimulator], None] | None = None,
) -> Module:
    """Build the module: routes below `/api/hmrc`, subscribers, and the simulated death notice.

    *facts* reads the claimed facts of accounts; *metrics* counts requests to HMRC. *recovered* is
    called with the subscribers that may continue because HMRC is available again, and with whether
    that is certain. *rehearse* is called with the simulator that replaces HMRC, if there is one.

    Raises:
        ValueError: the number for the simulated death notice is no National Insurance number, the
            simulator's fault is unknown, or there is no key to encrypt consents.
    """
    # A single statement needs no BEGIN and COMMIT around it.
    autocommit = database.requests.execution_options(isolation_level="AUTOCOMMIT")
    seal = Seal(settings.sealing_key, *settings.old_sealing_keys)
    accounts, filed, consents = Accounts(), FiledRecords(autocommit), Consents(autocommit, seal)
    requests = ConsentRequests(autocommit, seal)
    clients = open_ports(settings, clock, metrics)
    if recovered is not None:
        clients.on_recovery(partial(recovered, (VERIFICATION,)))
    if rehearse is not None and clients.simulator is not None:
        rehearse(clients.simulator)
    if clients.consent is not None and not settings.sealing_key:
        raise ValueError("tax records need GOVID_KEY_ENCRYPTION_KEY or GOVID_PSEUDONYM_KEY")
    assurance = settings.tax_min_level
    quotas = Quotas("hmrc.quota")
    consent = TaxConsent(
        uow,
        clients.consent,
        accounts,
        requests,
        consents,
        quotas,
        min_level=assurance,
        most_per_hour=settings.quotas.consents_per_hour,
    )
    filing = TaxFiling(uow, accounts, filed, most=settings.quotas.tax_records)
    token_provider = Openers(uow, clients.consent, consents) if clients.consent else None
    reading = TaxReading(clients.tax_records, token_provider, min_level=assurance)
    pages = (simulated_pages(PAGES, clients.pages),) if clients.pages else ()
    return Module(
        name="hmrc",
        routes=(router(filing, consent, reading), *pages),
        consumers=consumers(
            Verification(clients.verifier, facts),
            Erasure(filed),
            Withdrawal(accounts, consents),
        ),
        tasks=(
            Housekeeping(requests).run,
            QuotaCleanup(uow, quotas, "hmrc").run,
            *_tasks(settings, uow),
        ),
        drains=(token_provider.close,) if token_provider else (),
        stops=clients.stops,
        states=clients.states,
    )


def _tasks(settings: HmrcSettings, uow: UnitOfWork) -> Sequence[Callable[[], Awaitable[None]]]:
    if not settings.simulate_death:
        return ()
    nino = normalise_identifier(
        IdentifierType.NIN, settings.simulate_death_nino, prototype_form=False
    )
    delay_seconds = settings.simulate_death_delay_seconds
    return (SimulatedDeath(uow, nino=nino, delay_seconds=delay_seconds).run,)

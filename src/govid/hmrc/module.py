"""Builds the HMRC module: event subscriptions, periodic cleanup and wiring."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial

from govid.bus import Clock, Database, Module, QuotaCleanup, QuotaCounters, UnitOfWork
from govid.bus.contracts import IdentifierType
from govid.bus.contracts.facts import ClaimedFactsSource
from govid.bus.shared.identifiers import normalise_identifier
from govid.bus.upstream import UpstreamMetrics
from govid.hmrc.consents import TaxConsentService
from govid.hmrc.controllers import router, simulated_pages
from govid.hmrc.deaths import SimulatedDeathNotices
from govid.hmrc.erasure import DataErasure
from govid.hmrc.handlers import VERIFICATION_SUBSCRIBER, build_subscribers
from govid.hmrc.housekeeping import ConsentRequestCleanup
from govid.hmrc.openers import ConsentTokenProvider
from govid.hmrc.ports import build_clients
from govid.hmrc.repository import (
    BlockedAccounts,
    ConsentRepository,
    ConsentRequestRepository,
    TaxRecordRepository,
)
from govid.hmrc.seal import Seal
from govid.hmrc.settings import SIMULATOR_PAGES_PATH, HmrcSettings
from govid.hmrc.simulator import HmrcSimulator
from govid.hmrc.tax_reading import TaxRecordReader
from govid.hmrc.tax_records import TaxRecordFiling
from govid.hmrc.verification import VerificationHandler
from govid.hmrc.withdrawal import AccountStatusHandler


def build(
    settings: HmrcSettings,
    database: Database,
    uow: UnitOfWork,
    clock: Clock,
    metrics: UpstreamMetrics | None = None,
    facts: ClaimedFactsSource | None = None,
    on_recovered: Callable[[Collection[str], bool], None] | None = None,
    configure_simulator: Callable[[HmrcSimulator], None] | None = None,
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
    accounts, filed, consents = (
        BlockedAccounts(),
        TaxRecordRepository(autocommit),
        ConsentRepository(autocommit, seal),
    )
    requests = ConsentRequestRepository(autocommit, seal)
    clients = build_clients(settings, clock, metrics)
    if on_recovered is not None:
        clients.on_recovery(partial(on_recovered, (VERIFICATION_SUBSCRIBER,)))
    if configure_simulator is not None and clients.simulator is not None:
        configure_simulator(clients.simulator)
    if clients.consent is not None and not settings.sealing_key:
        raise ValueError("tax records need GOVID_KEY_ENCRYPTION_KEY or GOVID_PSEUDONYM_KEY")
    assurance = settings.tax_min_level
    quotas = QuotaCounters("hmrc.quota")
    consent = TaxConsentService(
        uow,
        clients.consent,
        accounts,
        requests,
        consents,
        quotas,
        required_assurance=assurance,
        max_per_hour=settings.quotas.consents_per_hour,
    )
    filing = TaxRecordFiling(uow, accounts, filed, max_records=settings.quotas.tax_records)
    token_provider = (
        ConsentTokenProvider(uow, clients.consent, consents) if clients.consent else None
    )
    reading = TaxRecordReader(clients.tax_records, token_provider, required_assurance=assurance)
    pages = (simulated_pages(SIMULATOR_PAGES_PATH, clients.pages),) if clients.pages else ()
    return Module(
        name="hmrc",
        routes=(router(filing, consent, reading), *pages),
        subscribers=build_subscribers(
            VerificationHandler(clients.verifier, facts),
            DataErasure(filed),
            AccountStatusHandler(accounts, consents),
        ),
        tasks=(
            ConsentRequestCleanup(requests).run,
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
    return (SimulatedDeathNotices(uow, nino=nino, delay_seconds=delay_seconds).run,)

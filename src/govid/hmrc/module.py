"""Builds the HMRC module: event subscriptions, periodic cleanup and wiring."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial

from govid.bus import (
    BlockedAccounts,
    Clock,
    Database,
    Module,
    PeriodicWorker,
    QuotaCleanup,
    QuotaCounters,
    Subscriber,
    UnitOfWork,
)
from govid.bus.events import (
    AccountBlocked,
    AccountClosed,
    AccountRestored,
    IdentifierType,
    VerificationRequested,
)
from govid.bus.shared.identifiers import ClaimedFactsSource, normalise_identifier
from govid.bus.upstream import UpstreamMetrics
from govid.hmrc.clients.factory import build_clients
from govid.hmrc.consent import ConsentTokenProvider, TaxConsentService
from govid.hmrc.controllers import router, simulated_pages
from govid.hmrc.data_rights import AccountStatusHandler, DataErasure
from govid.hmrc.models import Account
from govid.hmrc.repository import (
    ConsentCipher,
    ConsentRepository,
    ConsentRequestRepository,
    TaxRecordRepository,
)
from govid.hmrc.settings import SIMULATOR_PAGES_PATH, HmrcSettings
from govid.hmrc.simulator import HmrcSimulator
from govid.hmrc.simulator.death_notices import SimulatedDeathNotices
from govid.hmrc.tax_records import TaxRecordFiling, TaxRecordReader
from govid.hmrc.verification import VerificationHandler

VERIFICATION_SUBSCRIBER = "hmrc.verification"
"""The subscriber whose deliveries wait while HMRC is unavailable."""


def build_subscribers(
    verification: VerificationHandler, erasure: DataErasure, account_status: AccountStatusHandler
) -> Sequence[Subscriber]:
    """Return the module's subscribers. Their names are stored, and never change (I10)."""
    return (
        Subscriber(
            name=VERIFICATION_SUBSCRIBER,
            handles=(VerificationRequested,),
            predicate=lambda event: event.identifier_type is IdentifierType.NIN,
            handler=verification,
        ),
        Subscriber(name="hmrc.erasure", handles=(AccountClosed,), handler=erasure),
        Subscriber(
            name="hmrc.consents",
            handles=(AccountBlocked, AccountClosed, AccountRestored),
            handler=account_status,
            grouped=False,
        ),
    )


PERIOD_SECONDS = 60.0


class ConsentRequestCleanup:
    """The worker that deletes expired consent requests; several replicas may run it at once."""

    def __init__(self, requests: ConsentRequestRepository) -> None:
        """Delete from *requests*."""
        self._requests = requests

    async def run(self) -> None:
        """Run now and every minute, until cancelled."""
        await PeriodicWorker(
            self._requests.delete_expired,
            PERIOD_SECONDS,
            failure_event="housekeeping.failed",
            failure_members={"operation": "consent requests"},
        ).run()


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

    *facts* reads the claimed facts of accounts; *metrics* counts requests. *on_recovered* is
    called with the subscribers that may continue because HMRC is available again, and with whether
    that is certain. *configure_simulator* is called with the simulator that replaces HMRC, if any.

    Raises:
        ValueError: the number for the simulated death notice is no National Insurance number, the
            simulator's fault is unknown, or there is no key to encrypt consents.
    """
    # A single statement needs no BEGIN and COMMIT around it.
    autocommit = database.requests.execution_options(isolation_level="AUTOCOMMIT")
    cipher = ConsentCipher(settings.encryption_key, *settings.old_encryption_keys)
    accounts, tax_records, consents = (
        BlockedAccounts(Account.__table__),
        TaxRecordRepository(autocommit),
        ConsentRepository(autocommit, cipher),
    )
    requests = ConsentRequestRepository(autocommit, cipher)
    clients = build_clients(settings, clock, metrics)
    if on_recovered is not None:
        clients.on_recovery(partial(on_recovered, (VERIFICATION_SUBSCRIBER,)))
    if configure_simulator is not None and clients.simulator is not None:
        configure_simulator(clients.simulator)
    if clients.consent is not None and not settings.encryption_key:
        raise ValueError("tax records need GOVID_KEY_ENCRYPTION_KEY or GOVID_PSEUDONYM_KEY")
    assurance = settings.required_assurance
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
    filing = TaxRecordFiling(uow, accounts, tax_records, max_records=settings.quotas.tax_records)
    token_provider = (
        ConsentTokenProvider(uow, clients.consent, consents) if clients.consent else None
    )
    reader = TaxRecordReader(clients.tax_records, token_provider, required_assurance=assurance)
    pages = (simulated_pages(SIMULATOR_PAGES_PATH, clients.pages),) if clients.pages else ()
    return Module(
        name="hmrc",
        routes=(router(filing, consent, reader), *pages),
        subscribers=build_subscribers(
            VerificationHandler(clients.verifier, facts),
            DataErasure(tax_records),
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
        IdentifierType.NIN, settings.simulate_death_nino, accept_prototype_nhs=False
    )
    delay_seconds = settings.simulate_death_delay_seconds
    return (SimulatedDeathNotices(uow, nino=nino, delay_seconds=delay_seconds).run,)

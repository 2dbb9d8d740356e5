"""Builds the identity module: the only place that constructs its components."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial

import msgspec
from prometheus_client import CollectorRegistry

from govid.bus import (
    Clock,
    Consumer,
    Database,
    Module,
    PeriodicWorker,
    Principal,
    Pseudonyms,
    Quotas,
    UnitOfWork,
)
from govid.bus.contracts import (
    DeathNotified,
    HmrcEvidenceGathered,
    HmrcVerificationCompleted,
    NhsEvidenceGathered,
    NhsVerificationCompleted,
    VerificationRefused,
)
from govid.bus.contracts.facts import FactsOfAccounts, VerifiedIdentifiers
from govid.bus.shared.crypto import key_id
from govid.identity.accounts.evidence import Evidence
from govid.identity.accounts.export import Records
from govid.identity.accounts.forgiveness import Forgiveness
from govid.identity.accounts.inquiry import Inquiry
from govid.identity.accounts.lifecycle import DEATH_NOTICE_SUBSCRIBER, Lifecycle
from govid.identity.accounts.operator import AccountDesk
from govid.identity.accounts.parked import ParkedNotices
from govid.identity.accounts.questions import Questions
from govid.identity.accounts.registration import Registration
from govid.identity.accounts.release import ClaimRelease
from govid.identity.accounts.reviews import REVIEW_SAMPLE_SECONDS, OpenReviews
from govid.identity.accounts.standing import Standing
from govid.identity.accounts.unclaimed import Precedents
from govid.identity.accounts.verification import VERIFICATION_SUBSCRIBER, Verification
from govid.identity.controllers.accounts import account_router
from govid.identity.controllers.credentials import login_router
from govid.identity.controllers.keys import well_known_router
from govid.identity.controllers.sessions import session_router
from govid.identity.controllers.verification import verification_router
from govid.identity.credentials.login import SignIn
from govid.identity.desks import build_email_transport, build_services
from govid.identity.housekeeping import Housekeeping
from govid.identity.identifier_digests import IdentifierDigests
from govid.identity.passwords.hashing import Passwords
from govid.identity.passwords.metrics import HashMetrics
from govid.identity.passwords.policy import Policy
from govid.identity.repository.accounts import Accounts
from govid.identity.repository.claims import Claims
from govid.identity.repository.facts import Facts, FactsSeal
from govid.identity.repository.holders import Holders
from govid.identity.repository.key_checks import key_list, note_keys
from govid.identity.repository.life_events import LifeEvents
from govid.identity.repository.refresh_tokens import RefreshTokens
from govid.identity.repository.sessions import Sessions
from govid.identity.repository.signing_keys import SigningKeys
from govid.identity.repository.throttle import Attempts
from govid.identity.repository.verification_attempts import VerificationAttempts
from govid.identity.repository.verified_identifiers import (
    VerifiedIdentifiers as AccountIdentifiers,
)
from govid.identity.rules import Rules
from govid.identity.sessions.authentication import Authentication
from govid.identity.sessions.ending import Ending
from govid.identity.sessions.expiry import Expiry
from govid.identity.sessions.listing import OwnSessions
from govid.identity.sessions.live import LiveSessions
from govid.identity.sessions.opening import Opening
from govid.identity.sessions.refresh import Renewal
from govid.identity.sessions.seen import LastSeen
from govid.identity.settings import IdentitySettings
from govid.identity.throttle.attempts import Flow, Throttle
from govid.identity.throttle.lapsing import Lapsing
from govid.identity.throttle.registrations import Registrations
from govid.identity.throttle.sieges import Sieges
from govid.identity.tokens.access import Tokens
from govid.identity.tokens.keyring import Keyring
from govid.identity.tokens.rotation import Rotation
from govid.identity.tokens.watch import KeyWatch


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """The identity module, token authentication, key rotation and the services for operators.

    Departments read claimed facts through `claimed_facts`, and the accounts with a verified
    identifier through `verified_identifiers`.
    """

    module: Module
    authenticate: Callable[..., Awaitable[Principal]]
    desk: AccountDesk
    forgiveness: Forgiveness
    claims: ClaimRelease
    facts: FactsOfAccounts
    verified: VerifiedIdentifiers
    rotation: Rotation


def build(
    settings: IdentitySettings,
    database: Database,
    uow: UnitOfWork,
    clock: Clock,
    departments: Mapping[str, Records],
    registry: CollectorRegistry | None = None,
) -> Identity:
    """Build identity; the `starts` of its module load the signing key.

    *departments* are the sources of the data export, by name. Metrics are registered in *registry*.

    Raises:
        ValueError: the settings are too weak, or contradict each other.
    """
    accounts, sessions = Accounts(), Sessions()
    digest_key = key_id(settings.pseudonym_key, "pseudonym")
    passwords = Passwords(settings, HashMetrics(registry))
    policy = Policy(min_length=settings.password_min_length, checks=settings.password_checks)
    email_transport = build_email_transport(settings.mail, clock)
    rules = Rules(
        policy,
        accept_prototype_nhs=settings.accept_prototype_nhs,
        takes_unicode=lambda: email_transport.takes_unicode,
    )
    signing_keys = SigningKeys()
    keyring = Keyring(settings, uow, signing_keys)
    rotation = Rotation(settings, uow, signing_keys)
    tokens = Tokens(keyring, clock, issuer=settings.issuer, lifetime=settings.longest_token_seconds)
    refresh_tokens, session_reader = RefreshTokens(), LiveSessions(database)
    session_issuer = Opening(sessions, refresh_tokens, tokens, settings)
    session_revoker = Ending(uow, sessions)
    refresh_rotation = Renewal(
        uow, sessions, refresh_tokens, session_issuer, session_revoker, settings
    )
    last_seen, expiry = LastSeen(database, settings.session_idle_seconds), Expiry()
    account_status, life_events = Holders(), LifeEvents(digest_key)
    digests = IdentifierDigests(*settings.pseudonym_keys)
    facts = Facts(database, _facts_cipher(settings))
    verification_attempts = VerificationAttempts(digest_key)
    verification_requests = Questions(verification_attempts, digests)
    status_service = Standing(account_status, life_events, session_revoker, verification_requests)
    prior_notices = Precedents(account_status, life_events, digests)
    pseudonyms = Pseudonyms(settings.pseudonym_key)
    attempts, quotas = Attempts(), Quotas("identity.quota")
    registration_quota = Registrations(uow, quotas, settings.throttle, pseudonyms)
    registration = Registration(
        uow,
        accounts,
        passwords,
        rules,
        prior_notices,
        registration_quota,
        facts,
        verification_requests,
    )
    throttle = Throttle(
        uow,
        attempts,
        quotas,
        settings.throttle,
        pseudonyms,
        Sieges(settings.throttle.failures, registry, Flow),
        [Pseudonyms(key) for key in settings.old_pseudonym_keys],
    )
    sign_in = SignIn(uow, accounts, passwords, session_issuer, throttle)
    throttle_cleanup = Lapsing(attempts, quotas)
    services = build_services(
        settings,
        database,
        uow,
        clock,
        passwords=passwords,
        policy=policy,
        throttle=throttle,
        session_revoker=session_revoker,
        facts=facts,
        attempts=verification_attempts,
        departments=departments,
        email_transport=email_transport,
    )
    cleanup = Housekeeping(
        uow,
        {
            "throttle.unlock": throttle_cleanup.unlock,
            "throttle.forget": throttle_cleanup.forget,
            "sessions.expire": expiry.expire,
            "sessions.purge": expiry.purge,
            **services.jobs,
        },
    )
    module = Module(
        name="identity",
        routes=(
            account_router(registration),
            verification_router(
                Inquiry(
                    uow,
                    account_status,
                    accounts,
                    facts,
                    verification_attempts,
                    verification_requests,
                    quotas,
                    most_per_hour=settings.quotas.verifications_per_hour,
                )
            ),
            login_router(sign_in),
            *services.routes,
            session_router(sign_in, refresh_rotation, session_revoker, OwnSessions(uow, sessions)),
            well_known_router(settings, keyring.jwks),
        ),
        consumers=(
            Consumer(
                name=VERIFICATION_SUBSCRIBER,
                handles=(
                    NhsEvidenceGathered,
                    HmrcEvidenceGathered,
                    NhsVerificationCompleted,
                    HmrcVerificationCompleted,
                    VerificationRefused,
                ),
                handler=Verification(
                    accounts, Evidence(verification_attempts, facts, account_status, life_events)
                ),
                grouped=False,
            ),
            Consumer(
                name=DEATH_NOTICE_SUBSCRIBER,
                handles=(DeathNotified,),
                handler=Lifecycle(account_status, life_events, status_service, digests, registry),
                grouped=False,
            ),
            *services.consumers,
        ),
        starts=(partial(_record_keys, settings, database), keyring.load),
        tasks=(
            *services.tasks,
            cleanup.run,
            ParkedNotices(uow, account_status, life_events, status_service, digests).run,
            last_seen.run,
            PeriodicWorker(
                OpenReviews(database, registry).sample,
                REVIEW_SAMPLE_SECONDS,
                failure_event="metrics.no_sample",
            ).run,
            KeyWatch(keyring, rotation).run,
        ),
    )
    return Identity(
        module=module,
        authenticate=Authentication(session_reader, tokens, last_seen.note).authenticate,
        desk=AccountDesk(uow, account_status, life_events, status_service, digests),
        forgiveness=Forgiveness(uow, account_status, verification_attempts, digests),
        claims=ClaimRelease(uow, account_status, Claims(), facts, verification_attempts),
        facts=facts,
        verified=AccountIdentifiers(database),
        rotation=rotation,
    )


async def _record_keys(settings: IdentitySettings, database: Database) -> None:
    """Store the ids of this process's keys, so that `govid check` can detect wrong keys."""
    await note_keys(database.reads, key_list(settings))


def _facts_cipher(settings: IdentitySettings) -> FactsSeal:
    """Return the cipher of claimed facts; production has a separate key for it."""
    return FactsSeal(*settings.encryption_keys)

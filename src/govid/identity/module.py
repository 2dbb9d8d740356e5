"""Builds the identity module.

Only this file and `account_services` construct components of identity.
"""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial

import msgspec
from prometheus_client import CollectorRegistry

from govid.bus import (
    AccessLog,
    AccessProofs,
    AuditKeys,
    AuditSettings,
    Clock,
    Database,
    Module,
    PeriodicWorker,
    Principal,
    PseudonymGenerator,
    QuotaCounters,
    Subscriber,
    UnitOfWork,
)
from govid.bus.events import (
    DeathNotified,
    HmrcEvidenceGathered,
    HmrcVerificationCompleted,
    NhsEvidenceGathered,
    NhsVerificationCompleted,
    VerificationRefused,
)
from govid.bus.shared.crypto import compute_key_id
from govid.bus.shared.identifiers import ClaimedFactsSource, VerifiedIdentifierLookup
from govid.identity.account_services import build_account_services, build_email_transport
from govid.identity.accounts.administration import (
    REVIEW_SAMPLE_SECONDS,
    AccountAdministration,
    AttemptReset,
    OpenReviewGauge,
)
from govid.identity.accounts.data_rights import DataExportSource
from govid.identity.accounts.identifier_claims import ClaimRelease
from govid.identity.accounts.registration import Registration
from govid.identity.cleanup import CleanupWorker
from govid.identity.controllers.accounts import account_router, verification_router
from govid.identity.controllers.audit_log import access_log_router, audit_documents_router
from govid.identity.controllers.credentials import login_router
from govid.identity.controllers.sessions import session_router
from govid.identity.controllers.well_known import well_known_router
from govid.identity.credentials.login import PasswordLogin
from govid.identity.credentials.password_hashing import HashMetrics, PasswordHashing
from govid.identity.identifier_digests import IdentifierDigests
from govid.identity.life_events.death_notices import (
    DEATH_NOTICE_SUBSCRIBER,
    DeathNoticeHandler,
    PriorNoticeCheck,
)
from govid.identity.life_events.scheduled import ScheduledNotices
from govid.identity.life_events.service import AccountStatusService
from govid.identity.password_policy import PasswordPolicy
from govid.identity.rate_limits.attempts import (
    BruteForceAlarm,
    LoginFlow,
    LoginThrottle,
    ThrottleCleanup,
)
from govid.identity.rate_limits.registrations import RegistrationQuota
from govid.identity.repository.account_status import AccountStatusRepository
from govid.identity.repository.account_status import VerifiedIdentifierReader as AccountIdentifiers
from govid.identity.repository.accounts import AccountRepository, IdentifierClaimRepository
from govid.identity.repository.claimed_facts import ClaimedFactsCipher, ClaimedFactsRepository
from govid.identity.repository.key_checks import configured_keys, record_keys
from govid.identity.repository.life_events import LifeEventRepository
from govid.identity.repository.login_lockouts import LoginAttemptRepository
from govid.identity.repository.refresh_tokens import RefreshTokenRepository
from govid.identity.repository.sessions import SessionRepository
from govid.identity.repository.signing_keys import SigningKeyRepository
from govid.identity.repository.verification_attempts import VerificationAttemptRepository
from govid.identity.sessions.authentication import SessionReader, TokenAuthentication
from govid.identity.sessions.expiry import LastSeenWriter, SessionExpiry
from govid.identity.sessions.issuing import RefreshTokenRotation, SessionIssuer
from govid.identity.sessions.management import SessionListing, SessionRevoker
from govid.identity.settings import IdentitySettings
from govid.identity.tokens.access_tokens import AccessTokens
from govid.identity.tokens.key_rotation import KeyRotation, KeyRotationWorker
from govid.identity.tokens.signing_keys import Keyring
from govid.identity.validation import RegistrationRules
from govid.identity.verification.requests import VerificationRequests, VerificationRetry
from govid.identity.verification.results import (
    VERIFICATION_SUBSCRIBER,
    EvidenceStore,
    VerificationResultHandler,
)


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """The identity module, token authentication, key rotation and the services for operators.

    Departments read claimed facts through `claimed_facts`, and the accounts with a verified
    identifier through `verified_identifiers`.
    """

    module: Module
    authenticate: Callable[..., Awaitable[Principal]]
    administration: AccountAdministration
    attempt_reset: AttemptReset
    claim_release: ClaimRelease
    claimed_facts: ClaimedFactsSource
    verified_identifiers: VerifiedIdentifierLookup
    key_rotation: KeyRotation


def build(
    settings: IdentitySettings,
    database: Database,
    uow: UnitOfWork,
    clock: Clock,
    departments: Mapping[str, DataExportSource],
    audit: AuditSettings,
    registry: CollectorRegistry | None = None,
) -> Identity:
    """Build identity; the `starts` of its module load the signing key.

    *departments* are the sources of the data export, by name; *audit* describes the audit
    log. Metrics are registered in *registry*.

    Raises:
        ValueError: the settings are too weak, or contradict each other.
    """
    accounts, sessions = AccountRepository(), SessionRepository()
    digest_key = compute_key_id(settings.pseudonym_key, "pseudonym")
    passwords = PasswordHashing(settings, HashMetrics(registry))
    policy = PasswordPolicy(
        min_length=settings.password_min_length, refuse_guessable=settings.password_checks
    )
    email_transport = build_email_transport(settings.mail, clock)
    rules = RegistrationRules(
        policy,
        accept_prototype_nhs=settings.accept_prototype_nhs,
        accepts_unicode=lambda: email_transport.accepts_unicode,
    )

    # Signing keys, access tokens and sessions.
    signing_keys = SigningKeyRepository()
    keyring = Keyring(settings, uow, signing_keys)
    rotation = KeyRotation(settings, uow, signing_keys)
    tokens = AccessTokens(
        keyring, clock, issuer=settings.issuer, lifetime=settings.max_token_seconds
    )
    refresh_tokens, session_reader = RefreshTokenRepository(), SessionReader(database)
    session_issuer = SessionIssuer(sessions, refresh_tokens, tokens, settings)
    session_revoker = SessionRevoker(uow, sessions)
    refresh_rotation = RefreshTokenRotation(
        uow, sessions, refresh_tokens, session_issuer, session_revoker, settings
    )
    last_seen, expiry = LastSeenWriter(database, settings.session_idle_seconds), SessionExpiry()

    # Verification of identifiers and life events.
    account_status, life_events = AccountStatusRepository(), LifeEventRepository(digest_key)
    digests = IdentifierDigests(*settings.pseudonym_keys)
    claimed_facts = ClaimedFactsRepository(database, _build_facts_cipher(settings))
    verification_attempts = VerificationAttemptRepository(digest_key)
    verification_requests = VerificationRequests(verification_attempts, digests)
    status_service = AccountStatusService(
        account_status, life_events, session_revoker, verification_requests
    )
    prior_notices = PriorNoticeCheck(account_status, life_events, digests)

    # Registration and login, under their rate limits.
    pseudonyms = PseudonymGenerator(settings.pseudonym_key)
    attempts, quotas = LoginAttemptRepository(), QuotaCounters("identity.quota")
    registration_quota = RegistrationQuota(uow, quotas, settings.throttle, pseudonyms)
    registration = Registration(
        uow,
        accounts,
        passwords,
        rules,
        prior_notices,
        registration_quota,
        claimed_facts,
        verification_requests,
    )
    throttle = LoginThrottle(
        uow,
        attempts,
        quotas,
        settings.throttle,
        pseudonyms,
        BruteForceAlarm(settings.throttle.failures, registry, LoginFlow),
        [PseudonymGenerator(key) for key in settings.old_pseudonym_keys],
    )
    password_login = PasswordLogin(uow, accounts, passwords, session_issuer, throttle)
    throttle_cleanup = ThrottleCleanup(attempts, quotas)

    services = build_account_services(
        settings,
        database,
        uow,
        clock,
        passwords=passwords,
        policy=policy,
        throttle=throttle,
        session_revoker=session_revoker,
        claimed_facts=claimed_facts,
        attempts=verification_attempts,
        departments=departments,
        email_transport=email_transport,
    )
    access_proofs = AccessProofs(database, AuditKeys.from_settings(audit))
    cleanup = CleanupWorker(
        uow,
        {
            "throttle.unlock": throttle_cleanup.release_expired,
            "throttle.forget": throttle_cleanup.delete_stale,
            "sessions.expire": expiry.expire_due,
            "sessions.purge": expiry.delete_ended,
            **services.jobs,
        },
    )

    module = Module(
        name="identity",
        routes=(
            account_router(registration),
            verification_router(
                VerificationRetry(
                    uow,
                    account_status,
                    accounts,
                    claimed_facts,
                    verification_attempts,
                    verification_requests,
                    quotas,
                    max_per_hour=settings.quotas.verifications_per_hour,
                )
            ),
            login_router(password_login),
            *services.routes,
            session_router(
                password_login, refresh_rotation, session_revoker, SessionListing(uow, sessions)
            ),
            access_log_router(AccessLog(database), access_proofs),
            well_known_router(settings, keyring.encode_jwks),
            audit_documents_router(access_proofs, max_age_seconds=settings.jwks_max_age_seconds),
        ),
        subscribers=(
            Subscriber(
                name=VERIFICATION_SUBSCRIBER,
                handles=(
                    NhsEvidenceGathered,
                    HmrcEvidenceGathered,
                    NhsVerificationCompleted,
                    HmrcVerificationCompleted,
                    VerificationRefused,
                ),
                handler=VerificationResultHandler(
                    accounts,
                    EvidenceStore(
                        verification_attempts, claimed_facts, account_status, life_events
                    ),
                ),
                grouped=False,
            ),
            Subscriber(
                name=DEATH_NOTICE_SUBSCRIBER,
                handles=(DeathNotified,),
                handler=DeathNoticeHandler(
                    account_status, life_events, status_service, digests, registry
                ),
                grouped=False,
            ),
            *services.subscribers,
        ),
        starts=(partial(_record_keys, settings, database), keyring.load),
        tasks=(
            *services.tasks,
            cleanup.run,
            ScheduledNotices(uow, account_status, life_events, status_service, digests).run,
            last_seen.run,
            PeriodicWorker(
                OpenReviewGauge(database, registry).sample,
                REVIEW_SAMPLE_SECONDS,
                failure_event="metrics.no_sample",
            ).run,
            KeyRotationWorker(keyring, rotation).run,
        ),
    )
    return Identity(
        module=module,
        authenticate=TokenAuthentication(session_reader, tokens, last_seen.record_use).authenticate,
        administration=AccountAdministration(
            uow, account_status, life_events, status_service, digests
        ),
        attempt_reset=AttemptReset(uow, account_status, verification_attempts, digests),
        claim_release=ClaimRelease(
            uow, account_status, IdentifierClaimRepository(), claimed_facts, verification_attempts
        ),
        claimed_facts=claimed_facts,
        verified_identifiers=AccountIdentifiers(database),
        key_rotation=rotation,
    )


async def _record_keys(settings: IdentitySettings, database: Database) -> None:
    """Store the ids of this process's keys, so that `govid check` can detect wrong keys."""
    await record_keys(database.reads, configured_keys(settings))


def _build_facts_cipher(settings: IdentitySettings) -> ClaimedFactsCipher:
    """Return the cipher of claimed facts; production has a separate key for it."""
    return ClaimedFactsCipher(*settings.encryption_keys)

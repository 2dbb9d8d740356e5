"""Puts identity together: the only place that constructs its parts."""

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
from govid.identity import controllers, desks
from govid.identity.accounts import lifecycle, verification
from govid.identity.accounts.evidence import Evidence
from govid.identity.accounts.export import Records
from govid.identity.accounts.forgiveness import Forgiveness
from govid.identity.accounts.inquiry import Inquiry
from govid.identity.accounts.operator import AccountDesk
from govid.identity.accounts.parked import ParkedNotices
from govid.identity.accounts.questions import Questions
from govid.identity.accounts.registration import Registration
from govid.identity.accounts.release import ClaimRelease
from govid.identity.accounts.reviews import PERIOD_SECONDS as REVIEWS_PERIOD_SECONDS
from govid.identity.accounts.reviews import OpenReviews
from govid.identity.accounts.standing import Standing
from govid.identity.accounts.unclaimed import Precedents
from govid.identity.credentials.login import SignIn
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
    """Identity, built: its module, who is behind a token, the keys, and desks for operators.

    `facts` is what departments ask for what citizens say of themselves, `verified` for whom an
    identifier was verified.
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
    """Build identity; its module's `starts` load the signing key.

    *departments* say, by name, what they hold about somebody who wants to know. What is counted
    stands on *registry*.

    Raises:
        ValueError: the settings are too weak, or contradict each other.
    """
    accounts, sessions = Accounts(), Sessions()
    digest_key = key_id(settings.pseudonym_key, "pseudonym")
    passwords = Passwords(settings, HashMetrics(registry))
    policy = Policy(min_length=settings.password_min_length, checks=settings.password_checks)
    mailer = desks.mailer_of(settings.mail, clock)
    rules = Rules(
        policy,
        accept_prototype_nhs=settings.accept_prototype_nhs,
        takes_unicode=lambda: mailer.takes_unicode,
    )
    signing_keys = SigningKeys()
    keyring = Keyring(settings, uow, signing_keys)
    rotation = Rotation(settings, uow, signing_keys)
    tokens = Tokens(keyring, clock, issuer=settings.issuer, lifetime=settings.longest_token_seconds)
    refresh_tokens, living = RefreshTokens(), LiveSessions(database)
    opening = Opening(sessions, refresh_tokens, tokens, settings)
    ending = Ending(uow, sessions)
    renewal = Renewal(uow, sessions, refresh_tokens, opening, ending, settings)
    seen, expiry = LastSeen(database, settings.session_idle_seconds), Expiry()
    holders, history = Holders(), LifeEvents(digest_key)
    digests = IdentifierDigests(*settings.pseudonym_keys)
    facts, verification_attempts = (
        Facts(database, _seal(settings)),
        VerificationAttempts(digest_key),
    )
    questions = Questions(verification_attempts, digests)
    standing = Standing(holders, history, ending, questions)
    precedents = Precedents(holders, history, digests)
    pseudonyms = Pseudonyms(settings.pseudonym_key)
    attempts, quotas = Attempts(), Quotas("identity.quota")
    limits = Registrations(uow, quotas, settings.throttle, pseudonyms)
    registration = Registration(
        uow, accounts, passwords, rules, precedents, limits, facts, questions
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
    sign_in = SignIn(uow, accounts, passwords, opening, throttle)
    lapsing = Lapsing(attempts, quotas)
    people = desks.build(
        settings,
        database,
        uow,
        clock,
        passwords=passwords,
        policy=policy,
        throttle=throttle,
        ending=ending,
        facts=facts,
        attempts=verification_attempts,
        departments=departments,
        mailer=mailer,
    )
    housekeeping = Housekeeping(
        uow,
        {
            "throttle.unlock": lapsing.unlock,
            "throttle.forget": lapsing.forget,
            "sessions.expire": expiry.expire,
            "sessions.purge": expiry.purge,
            **people.jobs,
        },
    )
    module = Module(
        name="identity",
        routes=(
            controllers.accounts.router(registration),
            controllers.verification.router(
                Inquiry(
                    uow,
                    holders,
                    accounts,
                    facts,
                    verification_attempts,
                    questions,
                    quotas,
                    most_per_hour=settings.quotas.verifications_per_hour,
                )
            ),
            controllers.credentials.router(sign_in),
            *people.routes,
            controllers.sessions.router(sign_in, renewal, ending, OwnSessions(uow, sessions)),
            controllers.keys.router(settings, keyring.jwks),
        ),
        consumers=(
            Consumer(
                name=verification.SUBSCRIBER,
                handles=(
                    NhsEvidenceGathered,
                    HmrcEvidenceGathered,
                    NhsVerificationCompleted,
                    HmrcVerificationCompleted,
                    VerificationRefused,
                ),
                handler=verification.Verification(
                    accounts, Evidence(verification_attempts, facts, holders, history)
                ),
                grouped=False,
            ),
            Consumer(
                name=lifecycle.SUBSCRIBER,
                handles=(DeathNotified,),
                handler=lifecycle.Lifecycle(holders, history, standing, digests, registry),
                grouped=False,
            ),
            *people.consumers,
        ),
        starts=(partial(_note_keys, settings, database), keyring.load),
        tasks=(
            *people.tasks,
            housekeeping.run,
            ParkedNotices(uow, holders, history, standing, digests).run,
            seen.run,
            PeriodicWorker(
                OpenReviews(database, registry).sample,
                REVIEWS_PERIOD_SECONDS,
                failure_event="metrics.no_sample",
            ).run,
            KeyWatch(keyring, rotation).run,
        ),
    )
    return Identity(
        module=module,
        authenticate=Authentication(living, tokens, seen.note).authenticate,
        desk=AccountDesk(uow, holders, history, standing, digests),
        forgiveness=Forgiveness(uow, holders, verification_attempts, digests),
        claims=ClaimRelease(uow, holders, Claims(), facts, verification_attempts),
        facts=facts,
        verified=AccountIdentifiers(database),
        rotation=rotation,
    )


async def _note_keys(settings: IdentitySettings, database: Database) -> None:
    """Remember the keys of this process, by which `govid check` tells wrong ones."""
    await note_keys(database.reads, key_list(settings))


def _seal(settings: IdentitySettings) -> FactsSeal:
    """Return what encrypts facts; production has a key of its own for it."""
    return FactsSeal(*settings.encryption_keys)

"""Identity on a real database, with its events stored in the outbox and not delivered."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import msgspec
import pytest

from govid.bus import (
    Actor,
    Database,
    Delivery,
    OperationContext,
    Principal,
    PseudonymGenerator,
    QuotaCounters,
    Subscriptions,
    SystemClock,
    UnitOfWork,
    uuid7,
)
from govid.bus.delivery.outbox import PostgresOutbox
from govid.bus.events import DeathNotified, Event, IdentifierType
from govid.bus.events.envelope import EnvelopeFactory
from govid.bus.events.registry import EventRegistry
from govid.identity.accounts.administration import AccountAdministration
from govid.identity.accounts.registration import Registration
from govid.identity.credentials.login import PasswordLogin
from govid.identity.credentials.password_hashing import PasswordHashing
from govid.identity.identifier_digests import IdentifierDigests
from govid.identity.life_events.death_notices import DeathNoticeHandler, PriorNoticeCheck
from govid.identity.life_events.scheduled import ScheduledNotices
from govid.identity.life_events.service import AccountStatusService
from govid.identity.password_policy import PasswordPolicy
from govid.identity.rate_limits.attempts import BruteForceAlarm, LoginThrottle
from govid.identity.rate_limits.registrations import RegistrationQuota
from govid.identity.repository.account_status import AccountStatusRepository
from govid.identity.repository.accounts import AccountRepository
from govid.identity.repository.claimed_facts import ClaimedFactsCipher, ClaimedFactsRepository
from govid.identity.repository.life_events import LifeEventRepository
from govid.identity.repository.login_lockouts import LoginAttemptRepository
from govid.identity.repository.refresh_tokens import RefreshTokenRepository
from govid.identity.repository.sessions import SessionRepository
from govid.identity.repository.signing_keys import SigningKeyRepository
from govid.identity.repository.verification_attempts import VerificationAttemptRepository
from govid.identity.schemas import GrantView, Login, Refresh, Register, UserView
from govid.identity.sessions.authentication import SessionReader, TokenAuthentication
from govid.identity.sessions.expiry import LastSeenWriter
from govid.identity.sessions.issuing import RefreshTokenRotation, SessionIssuer
from govid.identity.sessions.management import SessionListing, SessionRevoker
from govid.identity.settings import IdentitySettings, ThrottleSettings
from govid.identity.tokens.access_tokens import AccessTokens
from govid.identity.tokens.signing_keys import Keyring
from govid.identity.validation import RegistrationRules
from govid.identity.verification.requests import VerificationRequests, VerificationRetry
from govid.identity.verification.results import EvidenceStore, VerificationResultHandler
from tests.audit_entries import entry_factory

PASSWORD = "password123"
CONTEXT = OperationContext(correlation_id="test", actor=Actor(kind="anonymous"))
SETTINGS = IdentitySettings(
    issuer="https://govid.example",
    argon2_time_cost=2,
    argon2_memory_kib=19456,
    argon2_parallelism=1,
    hash_concurrency=2,
    accept_prototype_nhs=True,
    # Tests of what is taken ask for it often.
    throttle=ThrottleSettings(registrations=0, duplicates=0),
)


class IdentityFixture(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of identity, each of which a test can call."""

    database: Database
    uow: UnitOfWork
    passwords: PasswordHashing
    tokens: AccessTokens
    registration: Registration
    password_login: PasswordLogin
    verification: VerificationResultHandler
    verification_retry: VerificationRetry
    claimed_facts: ClaimedFactsRepository
    death_notices: DeathNoticeHandler
    refresh_rotation: RefreshTokenRotation
    session_revoker: SessionRevoker
    session_listing: SessionListing
    last_seen: LastSeenWriter
    scheduled_notices: ScheduledNotices
    administration: AccountAdministration
    authenticate: Callable[[str], Awaitable[Principal]]

    async def register(self, **changes: Any) -> UserView:
        return await self.registration.register(a_registration(**changes), CONTEXT)

    async def login(self, email: str = "ada@example.com", password: str = PASSWORD) -> str:
        view = await self.password_login.login(Login(email=email, password=password), CONTEXT)
        return view.access_token

    async def begin(self, email: str = "ada@example.com", password: str = PASSWORD) -> GrantView:
        return await self.password_login.login_refreshable(
            Login(email=email, password=password), CONTEXT
        )

    async def refresh(self, token: str, client_id: str = "govid") -> GrantView:
        return await self.refresh_rotation.rotate(
            Refresh(refresh_token=token, client_id=client_id), CONTEXT
        )

    async def account(self, account_id: UUID) -> dict[str, Any]:
        query = "SELECT * FROM identity.account WHERE id = $1"
        return dict(await self.database.reads.fetchrow(query, account_id))

    async def count(self, table: str) -> int:
        query = f"SELECT count(*) FROM {table}"  # noqa: S608 - a test's own words
        count: int = await self.database.reads.fetchval(query)
        return count

    async def events(self) -> list[str]:
        rows = await self.database.reads.fetch("SELECT type FROM bus.event ORDER BY pos")
        return [row["type"] for row in rows]

    async def history(self) -> list[tuple[str, str, UUID | None]]:
        """Return the notices about accounts with their outcomes, in the order of receipt."""
        query = """
            SELECT kind, outcome, account_id FROM identity.life_event ORDER BY received_at, id
        """
        return [tuple(row) for row in await self.database.reads.fetch(query)]

    async def reviews(self) -> list[tuple[str, UUID | None]]:
        """Return the reviews that are open: why, and of whose account."""
        query = (
            "SELECT reason, account_id FROM identity.review_item WHERE state = 'open' ORDER BY id"
        )
        return [tuple(row) for row in await self.database.reads.fetch(query)]

    async def handle(self, handler: Any, event: Event) -> None:
        """Do what the dispatcher does with one delivery."""
        await self.deliver(handler, build_delivery(event))

    async def deliver(self, handler: Any, delivery: Delivery[Any]) -> None:
        outcome = await handler.prepare(delivery)
        async with self.uow.begin(delivery.operation_context("test")) as tx:
            await handler.apply(tx, delivery, outcome)

    async def report_death(self, **changes: Any) -> None:
        await self.handle(self.death_notices, a_death(**changes))

    async def set_columns(self, account_id: UUID, **columns: Any) -> None:
        pairs = ", ".join(f"{name} = ${n}" for n, name in enumerate(columns, 2))
        query = f"UPDATE identity.account SET {pairs} WHERE id = $1"  # noqa: S608 - the same
        await self.database.reads.execute(query, account_id, *columns.values())


def a_registration(**changes: Any) -> Register:
    plain = Register(
        email="ada@example.com",
        password=PASSWORD,
        identifier_type=IdentifierType.NIN,
        identifier_value="AB123456C",
        phone_number="+447123456789",
    )
    return msgspec.structs.replace(plain, **changes)


def a_death(**changes: Any) -> DeathNotified:
    plain = DeathNotified(
        identifier_type=IdentifierType.NIN,
        identifier_value="AB123456C",
        timestamp=SystemClock().now(),
    )
    return msgspec.structs.replace(plain, **changes)


def build_delivery(event: Event) -> Delivery[Any]:
    return Delivery(
        event=event,
        id=uuid7(),
        type=EventRegistry().type_for_event(event).name,
        key=None,
        seq=None,
        occurred_at=SystemClock().now(),
        correlation_id="test",
    )


def build_uow(database: Database) -> UnitOfWork:
    outbox = PostgresOutbox(
        EnvelopeFactory(EventRegistry(), PseudonymGenerator(b"k" * 32)),
        entry_factory(),
        Subscriptions(),
    )
    return UnitOfWork(database.requests, outbox, SystemClock(), lambda _subscribers: None)


async def build_identity(
    database: Database, settings: IdentitySettings = SETTINGS
) -> IdentityFixture:
    uow, accounts, sessions = build_uow(database), AccountRepository(), SessionRepository()
    # Patient, as this machine may have other things to do.
    passwords = PasswordHashing(settings, wait_seconds=60)
    keyring = Keyring(settings, uow, SigningKeyRepository())
    await keyring.load()
    tokens = AccessTokens(
        keyring, SystemClock(), issuer=settings.issuer, lifetime=settings.max_token_seconds
    )
    session_reader, refresh_tokens = SessionReader(database), RefreshTokenRepository()
    session_issuer = SessionIssuer(sessions, refresh_tokens, tokens, settings)
    session_revoker = SessionRevoker(uow, sessions)
    last_seen = LastSeenWriter(database, settings.session_idle_seconds)
    pseudonyms = PseudonymGenerator(b"k" * 32)
    throttle = LoginThrottle(
        uow,
        LoginAttemptRepository(),
        QuotaCounters("identity.quota"),
        settings.throttle,
        pseudonyms,
        BruteForceAlarm(settings.throttle.failures),
    )
    registration_quota = RegistrationQuota(
        uow, QuotaCounters("identity.quota"), settings.throttle, pseudonyms
    )
    policy = PasswordPolicy(min_length=8, refuse_guessable=settings.password_checks)
    rules = RegistrationRules(policy, accept_prototype_nhs=settings.accept_prototype_nhs)
    account_status, life_events, digests = (
        AccountStatusRepository(),
        LifeEventRepository(),
        IdentifierDigests(b"k" * 32),
    )
    claimed_facts, verification_attempts = (
        ClaimedFactsRepository(database, ClaimedFactsCipher(b"k" * 32)),
        VerificationAttemptRepository(),
    )
    verification_requests = VerificationRequests(verification_attempts, digests)
    status_service = AccountStatusService(
        account_status, life_events, session_revoker, verification_requests
    )
    return IdentityFixture(
        database=database,
        uow=uow,
        passwords=passwords,
        tokens=tokens,
        registration=Registration(
            uow,
            accounts,
            passwords,
            rules,
            PriorNoticeCheck(account_status, life_events, digests),
            registration_quota,
            claimed_facts,
            verification_requests,
        ),
        password_login=PasswordLogin(uow, accounts, passwords, session_issuer, throttle),
        verification=VerificationResultHandler(
            accounts,
            EvidenceStore(verification_attempts, claimed_facts, account_status, life_events),
        ),
        verification_retry=VerificationRetry(
            uow,
            account_status,
            accounts,
            claimed_facts,
            verification_attempts,
            verification_requests,
            QuotaCounters("identity.quota"),
            max_per_hour=settings.quotas.verifications_per_hour,
        ),
        claimed_facts=claimed_facts,
        death_notices=DeathNoticeHandler(account_status, life_events, status_service, digests),
        scheduled_notices=ScheduledNotices(
            uow, account_status, life_events, status_service, digests
        ),
        administration=AccountAdministration(
            uow, account_status, life_events, status_service, digests
        ),
        refresh_rotation=RefreshTokenRotation(
            uow, sessions, refresh_tokens, session_issuer, session_revoker, settings
        ),
        session_revoker=session_revoker,
        session_listing=SessionListing(uow, sessions),
        last_seen=last_seen,
        authenticate=TokenAuthentication(session_reader, tokens, last_seen.record_use).authenticate,
    )


@pytest.fixture
async def identity(database: Database) -> IdentityFixture:
    """Return identity on the test's database."""
    return await build_identity(database)

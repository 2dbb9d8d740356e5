"""Identity on a real database, with its events going to the outbox and to nobody."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import msgspec
import pytest

from govid.bus import (
    Actor,
    Cause,
    Database,
    Delivery,
    Principal,
    Pseudonyms,
    Quotas,
    Subscriptions,
    SystemClock,
    UnitOfWork,
    uuid7,
)
from govid.bus.catalogue import Catalogue
from govid.bus.contracts import DeathNotified, Event, IdentifierType
from govid.bus.envelope import Sealer
from govid.bus.outbox import PostgresOutbox
from govid.identity.accounts.evidence import Evidence
from govid.identity.accounts.inquiry import Inquiry
from govid.identity.accounts.lifecycle import Lifecycle
from govid.identity.accounts.operator import AccountDesk
from govid.identity.accounts.parked import ParkedNotices
from govid.identity.accounts.questions import Questions
from govid.identity.accounts.registration import Registration
from govid.identity.accounts.standing import Standing
from govid.identity.accounts.unclaimed import Precedents
from govid.identity.accounts.verification import Verification
from govid.identity.credentials.login import SignIn
from govid.identity.identifier_digests import IdentifierDigests
from govid.identity.passwords.hashing import Passwords
from govid.identity.passwords.policy import Policy
from govid.identity.repository.accounts import Accounts
from govid.identity.repository.facts import Facts, FactsSeal
from govid.identity.repository.holders import Holders
from govid.identity.repository.life_events import LifeEvents
from govid.identity.repository.refresh_tokens import RefreshTokens
from govid.identity.repository.sessions import Sessions
from govid.identity.repository.signing_keys import SigningKeys
from govid.identity.repository.throttle import Attempts
from govid.identity.repository.verification_attempts import VerificationAttempts
from govid.identity.rules import Rules
from govid.identity.schemas import GrantView, Login, Refresh, Register, UserView
from govid.identity.sessions.authentication import Authentication
from govid.identity.sessions.ending import Ending
from govid.identity.sessions.listing import OwnSessions
from govid.identity.sessions.live import LiveSessions
from govid.identity.sessions.opening import Opening
from govid.identity.sessions.refresh import Renewal
from govid.identity.sessions.seen import LastSeen
from govid.identity.settings import IdentitySettings, ThrottleSettings
from govid.identity.throttle.attempts import Throttle
from govid.identity.throttle.registrations import Registrations
from govid.identity.throttle.sieges import Sieges
from govid.identity.tokens.access import Tokens
from govid.identity.tokens.keyring import Keyring

PASSWORD = "password123"
CAUSE = Cause(correlation_id="test", actor=Actor(kind="anonymous"))
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


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """Identity, taken apart."""

    database: Database
    uow: UnitOfWork
    passwords: Passwords
    tokens: Tokens
    registration: Registration
    sign_in: SignIn
    verification: Verification
    inquiry: Inquiry
    facts: Facts
    lifecycle: Lifecycle
    renewal: Renewal
    ending: Ending
    own_sessions: OwnSessions
    seen: LastSeen
    parked: ParkedNotices
    desk: AccountDesk
    authenticate: Callable[[str], Awaitable[Principal]]

    async def register(self, **changes: Any) -> UserView:
        return await self.registration.register(a_registration(**changes), CAUSE)

    async def login(self, email: str = "ada@example.com", password: str = PASSWORD) -> str:
        view = await self.sign_in.login(Login(email=email, password=password), CAUSE)
        return view.access_token

    async def begin(self, email: str = "ada@example.com", password: str = PASSWORD) -> GrantView:
        return await self.sign_in.begin(Login(email=email, password=password), CAUSE)

    async def refresh(self, token: str, client_id: str = "govid") -> GrantView:
        return await self.renewal.renew(Refresh(refresh_token=token, client_id=client_id), CAUSE)

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
        """Return what was said of accounts, what came of it, and of whose, as it came in."""
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
        await self.deliver(handler, delivered(event))

    async def deliver(self, handler: Any, delivery: Delivery[Any]) -> None:
        outcome = await handler.prepare(delivery)
        async with self.uow.begin(delivery.cause("test")) as tx:
            await handler.apply(tx, delivery, outcome)

    async def die(self, **changes: Any) -> None:
        await self.handle(self.lifecycle, a_death(**changes))

    async def set(self, account_id: UUID, **columns: Any) -> None:
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


def delivered(event: Event) -> Delivery[Any]:
    return Delivery(
        event=event,
        id=uuid7(),
        type=Catalogue().of(event).name,
        key=None,
        seq=None,
        occurred_at=SystemClock().now(),
        correlation_id="test",
    )


def a_uow(database: Database) -> UnitOfWork:
    outbox = PostgresOutbox(Sealer(Catalogue(), Pseudonyms(b"k" * 32)), Subscriptions())
    return UnitOfWork(database.requests, outbox, SystemClock(), lambda _subscribers: None)


async def assemble(database: Database, settings: IdentitySettings = SETTINGS) -> Parts:
    uow, accounts, sessions = a_uow(database), Accounts(), Sessions()
    # Patient, as this machine may have other things to do.
    passwords = Passwords(settings, wait_seconds=60)
    keyring = Keyring(settings, uow, SigningKeys())
    await keyring.load()
    tokens = Tokens(
        keyring, SystemClock(), issuer=settings.issuer, lifetime=settings.longest_token_seconds
    )
    living, refresh_tokens = LiveSessions(database), RefreshTokens()
    opening = Opening(sessions, refresh_tokens, tokens, settings)
    ending = Ending(uow, sessions)
    seen = LastSeen(database, settings.session_idle_seconds)
    pseudonyms = Pseudonyms(b"k" * 32)
    throttle = Throttle(
        uow,
        Attempts(),
        Quotas("identity.quota"),
        settings.throttle,
        pseudonyms,
        Sieges(settings.throttle.failures),
    )
    limits = Registrations(uow, Quotas("identity.quota"), settings.throttle, pseudonyms)
    policy = Policy(min_length=8, checks=settings.password_checks)
    rules = Rules(policy, accept_prototype_nhs=settings.accept_prototype_nhs)
    holders, history, digests = Holders(), LifeEvents(), IdentifierDigests(b"k" * 32)
    facts, attempted = Facts(database, FactsSeal(b"k" * 32)), VerificationAttempts()
    questions = Questions(attempted, digests)
    standing = Standing(holders, history, ending, questions)
    return Parts(
        database=database,
        uow=uow,
        passwords=passwords,
        tokens=tokens,
        registration=Registration(
            uow,
            accounts,
            passwords,
            rules,
            Precedents(holders, history, digests),
            limits,
            facts,
            questions,
        ),
        sign_in=SignIn(uow, accounts, passwords, opening, throttle),
        verification=Verification(accounts, Evidence(attempted, facts, holders, history)),
        inquiry=Inquiry(
            uow,
            holders,
            accounts,
            facts,
            attempted,
            questions,
            Quotas("identity.quota"),
            most_per_hour=settings.quotas.verifications_per_hour,
        ),
        facts=facts,
        lifecycle=Lifecycle(holders, history, standing, digests),
        parked=ParkedNotices(uow, holders, history, standing, digests),
        desk=AccountDesk(uow, holders, history, standing, digests),
        renewal=Renewal(uow, sessions, refresh_tokens, opening, ending, settings),
        ending=ending,
        own_sessions=OwnSessions(uow, sessions),
        seen=seen,
        authenticate=Authentication(living, tokens, seen.note).authenticate,
    )


@pytest.fixture
async def identity(database: Database) -> Parts:
    """Return identity on the test's database."""
    return await assemble(database)

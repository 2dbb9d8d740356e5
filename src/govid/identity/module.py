"""Puts identity together: the only place that constructs its parts."""

from collections.abc import Awaitable, Callable

import msgspec

from govid.bus import Clock, Consumer, Database, Module, Principal, Pseudonyms, UnitOfWork
from govid.bus.contracts import (
    DeathNotified,
    HmrcVerificationCompleted,
    NhsVerificationCompleted,
)
from govid.identity import controllers
from govid.identity.accounts import lifecycle, verification
from govid.identity.accounts.registration import Registration
from govid.identity.credentials.login import SignIn
from govid.identity.housekeeping import Housekeeping
from govid.identity.passwords.hashing import Passwords
from govid.identity.passwords.policy import Policy
from govid.identity.repository.accounts import Accounts
from govid.identity.repository.quotas import Quotas
from govid.identity.repository.refresh_tokens import RefreshTokens
from govid.identity.repository.sessions import Sessions
from govid.identity.repository.signing_keys import SigningKeys
from govid.identity.repository.throttle import Attempts
from govid.identity.rules import Rules
from govid.identity.sessions.authentication import Authentication
from govid.identity.sessions.live import LiveSessions
from govid.identity.sessions.opening import Opening
from govid.identity.settings import IdentitySettings
from govid.identity.throttle.attempts import Throttle
from govid.identity.throttle.lapsing import Lapsing
from govid.identity.tokens.access import Tokens
from govid.identity.tokens.keyring import Keyring


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Identity, built: its module, who is behind a token, and the keys that verify one."""

    module: Module
    authenticate: Callable[[str], Awaitable[Principal]]
    jwks: Callable[[], bytes]


def build(
    settings: IdentitySettings, database: Database, uow: UnitOfWork, clock: Clock
) -> Identity:
    """Build identity; its module's `starts` load the signing key.

    Raises:
        ValueError: the settings are too weak, or contradict each other.
    """
    accounts, sessions = Accounts(), Sessions()
    passwords = Passwords(settings)
    policy = Policy(min_length=settings.password_min_length, checks=settings.password_checks)
    rules = Rules(policy, accept_prototype_nhs=settings.accept_prototype_nhs)
    keyring = Keyring(settings, uow, SigningKeys())
    tokens = Tokens(keyring, clock, issuer=settings.issuer, lifetime=settings.longest_token_seconds)
    opening = Opening(sessions, RefreshTokens(), tokens, settings)
    registration = Registration(uow, accounts, passwords, rules)
    pseudonyms = Pseudonyms(settings.pseudonym_key)
    attempts, quotas = Attempts(), Quotas()
    throttle = Throttle(uow, attempts, quotas, settings.throttle, pseudonyms)
    sign_in = SignIn(uow, accounts, passwords, opening, throttle)
    lapsing = Lapsing(attempts, quotas)
    housekeeping = Housekeeping(
        uow,
        {
            "throttle.unlock": lapsing.unlock,
            "throttle.forget": lapsing.forget,
        },
    )
    module = Module(
        name="identity",
        routes=(
            controllers.accounts.router(registration),
            controllers.passwords.router(policy),
            controllers.credentials.router(sign_in),
        ),
        consumers=(
            Consumer(
                name=verification.SUBSCRIBER,
                handles=(NhsVerificationCompleted, HmrcVerificationCompleted),
                handler=verification.Verification(accounts),
            ),
            Consumer(
                name=lifecycle.SUBSCRIBER,
                handles=(DeathNotified,),
                handler=lifecycle.Lifecycle(accounts, sessions),
            ),
        ),
        starts=(keyring.load,),
        tasks=(housekeeping.run,),
    )
    return Identity(
        module=module,
        authenticate=Authentication(LiveSessions(database), tokens).authenticate,
        jwks=keyring.jwks,
    )

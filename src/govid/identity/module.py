"""Puts identity together: the only place that constructs its parts."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import msgspec

from govid.bus import Clock, Consumer, Database, Module, Principal, UnitOfWork
from govid.bus.contracts import (
    DeathNotified,
    HmrcVerificationCompleted,
    NhsVerificationCompleted,
)
from govid.identity import controllers, lifecycle, verification
from govid.identity.authentication import Authentication
from govid.identity.keyring import Keyring
from govid.identity.live_sessions import LiveSessions
from govid.identity.login import SignIn
from govid.identity.passwords import Passwords
from govid.identity.registration import Registration
from govid.identity.repository import Accounts, Sessions, SigningKeys
from govid.identity.rules import Rules
from govid.identity.settings import IdentitySettings
from govid.identity.tokens import Tokens


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
    rules = Rules(
        password_min_length=settings.password_min_length,
        accept_prototype_nhs=settings.accept_prototype_nhs,
    )
    keyring = Keyring(settings, uow, SigningKeys())
    tokens = Tokens(keyring, clock, issuer=settings.issuer, lifetime=settings.access_token_seconds)
    registration = Registration(uow, accounts, passwords, rules)
    sign_in = SignIn(
        uow,
        accounts,
        sessions,
        passwords,
        tokens,
        lifetime=timedelta(seconds=settings.access_token_seconds),
    )
    module = Module(
        name="identity",
        routes=(controllers.router(registration, sign_in),),
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
    )
    return Identity(
        module=module,
        authenticate=Authentication(LiveSessions(database), tokens).authenticate,
        jwks=keyring.jwks,
    )

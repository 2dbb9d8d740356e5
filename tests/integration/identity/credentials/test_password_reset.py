"""Asking for a link costs the same with and without an account.

What its time tells is measured by `make bench` (timing).
"""

from uuid import UUID

import pytest

from govid.bus import PseudonymGenerator, QuotaCounters, Transaction
from govid.identity.credentials.password_change import PasswordReset
from govid.identity.email.outgoing import EmailOutbox
from govid.identity.password_policy import PasswordPolicy
from govid.identity.rate_limits.attempts import BruteForceAlarm, LoginThrottle
from govid.identity.repository.accounts import PasswordAccountRepository
from govid.identity.repository.login_lockouts import LoginAttemptRepository
from govid.identity.repository.one_time_tokens import OneTimeTokens
from govid.identity.repository.outgoing_email import OutgoingEmailRepository
from govid.identity.repository.sessions import SessionRepository
from govid.identity.sessions.management import SessionRevoker
from govid.identity.settings import ThrottleSettings
from tests.integration.identity.conftest import CONTEXT, IdentityFixture
from tests.statements import statements

UNKNOWN_ADDRESS = "nobody@example.com"
ADA = "ada@example.com"


class UnusedRevoker(SessionRevoker):
    """Fails if it is used, because a request for a link must not revoke sessions."""

    async def revoke_all(self, tx: Transaction, account_id: UUID, *, reason: str) -> None:
        raise AssertionError


@pytest.fixture
def reset(identity: IdentityFixture) -> PasswordReset:
    """Return the use case, which counts attempts and never has enough of them."""
    limits = ThrottleSettings(failures=10_000, address_failures=100_000)
    pseudonyms = PseudonymGenerator(b"k" * 32)
    throttle = LoginThrottle(
        identity.uow,
        LoginAttemptRepository(),
        QuotaCounters("identity.quota"),
        limits,
        pseudonyms,
        BruteForceAlarm(limits.failures),
    )
    return PasswordReset(
        identity.uow,
        PasswordAccountRepository(),
        UnusedRevoker(identity.uow, SessionRepository()),
        OneTimeTokens(),
        identity.passwords,
        PasswordPolicy(min_length=8, refuse_guessable=False),
        throttle,
        EmailOutbox(
            OutgoingEmailRepository(),
            QuotaCounters("identity.quota"),
            pseudonyms,
            is_enabled=True,
            max_per_hour=1_000,
        ),
    )


async def test_r4_known_unknown_and_blocked_send_the_same_statements(
    identity: IdentityFixture, reset: PasswordReset
) -> None:
    await identity.register()
    blocked = await identity.register(email="bea@example.com", identifier_value="AB000000C")
    await identity.set_columns(blocked.id, status="blocked", status_before="verified")
    sent = {}
    for email in (ADA, "bea@example.com", UNKNOWN_ADDRESS, "no address"):
        async with statements(identity.database.requests) as sent[email]:
            await reset.request(email, CONTEXT)
    assert sent[ADA] == sent["bea@example.com"] == sent[UNKNOWN_ADDRESS] == sent["no address"]

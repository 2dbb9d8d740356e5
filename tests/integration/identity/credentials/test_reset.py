"""Asking for a link costs the same, whoever is or is not there.

What its time tells is measured by `make bench` (timing).
"""

from uuid import UUID

import pytest

from govid.bus import Pseudonyms, Quotas
from govid.identity.credentials.reset import PasswordReset
from govid.identity.mail.correspondence import Correspondence
from govid.identity.passwords.policy import Policy
from govid.identity.repository.letters import Letters
from govid.identity.repository.links import Links
from govid.identity.repository.owners import Owners
from govid.identity.repository.throttle import Attempts
from govid.identity.settings import ThrottleSettings
from govid.identity.throttle.attempts import Throttle
from govid.identity.throttle.sieges import Sieges
from tests.integration.identity.conftest import CAUSE, Parts
from tests.statements import statements

UNKNOWN_ADDRESS = "nobody@example.com"
ADA = "ada@example.com"


class Ending:
    """Ends nothing: no session is open here."""

    async def revoke_all(self, tx: object, account_id: UUID, *, reason: str) -> None:
        raise AssertionError


@pytest.fixture
def reset(identity: Parts) -> PasswordReset:
    """Return the use case, which counts attempts and never has enough of them."""
    limits = ThrottleSettings(failures=10_000, address_failures=100_000)
    pseudonyms = Pseudonyms(b"k" * 32)
    throttle = Throttle(
        identity.uow,
        Attempts(),
        Quotas("identity.quota"),
        limits,
        pseudonyms,
        Sieges(limits.failures),
    )
    return PasswordReset(
        identity.uow,
        Owners(),
        Ending(),
        Links(),
        identity.passwords,
        Policy(min_length=8, checks=False),
        throttle,
        Correspondence(
            Letters(), Quotas("identity.quota"), pseudonyms, is_open=True, most_per_hour=1_000
        ),
    )


async def test_r4_known_unknown_and_blocked_send_the_same_statements(
    identity: Parts, reset: PasswordReset
) -> None:
    await identity.register()
    blocked = await identity.register(email="bea@example.com", identifier_value="AB000000C")
    await identity.set(blocked.id, status="blocked", status_before="verified")
    sent = {}
    for email in (ADA, "bea@example.com", UNKNOWN_ADDRESS, "no address"):
        async with statements(identity.database.requests) as sent[email]:
            await reset.request(email, CAUSE)
    assert sent[ADA] == sent["bea@example.com"] == sent[UNKNOWN_ADDRESS] == sent["no address"]

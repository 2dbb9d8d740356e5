"""Which subscribers share transactions, and which decline."""

from govid.gateway.settings import load_from_environment
from govid.gateway.wiring import assemble_components

LOCKS_ACCOUNTS = {
    "hmrc.consents",
    "identity.lifecycle",
    "identity.verification",
    "nhs.appointments",
    "nhs.booking",
    "nhs.verification",
}
"""Their handlers lock rows of accounts that requests lock as well."""


def test_those_that_lock_accounts_that_requests_lock_decline_to_be_grouped() -> None:
    replica = assemble_components(
        load_from_environment(
            {
                "GOVID_DATABASE_URL": "postgresql://127.0.0.1:1/govid",
                "GOVID_PSEUDONYM_KEY": "a key for tests, 32 bytes or more",
            }
        )
    )
    assert {c.name for c in replica.bus.subscriptions if not c.grouped} == LOCKS_ACCOUNTS
    assert {c.name for c in replica.bus.subscriptions if c.grouped} == {
        "hmrc.erasure",
        "hmrc.verification",
        "identity.letters",
    }

"""Impossible states of rows, which CHECK constraints refuse."""

from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from tests.integration.identity.conftest import IdentityFixture

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("columns", "constraint"),
    [
        ({"status": "asleep"}, "account_status_is_known"),
        ({"status": "blocked"}, "account_blocked_remembers"),
        ({"status_before": "verified"}, "account_blocked_remembers"),
        ({"status": "registered"}, "account_registered_has_no_identifier"),
        (
            {"identifier_type": None, "identifier_value": None},
            "account_registered_has_no_identifier",
        ),
        ({"identifier_type": None}, "account_identifier_is_whole"),
        ({"identifier_type": "UTR"}, "account_identifier_type_is_known"),
        ({"email": None}, "account_email_is_whole"),
        ({"password_hash": None}, "account_email_provider_has_password"),
        ({"status": "closed"}, "account_closed_is_dated"),
        ({"closed_at": NOW}, "account_closed_is_dated"),
        ({"status": "closed", "closed_at": NOW}, "account_closed_is_empty"),
        (
            {"email": None, "email_canonical": None, "email_confirmed_at": NOW},
            "account_confirmed_has_email",
        ),
    ],
)
async def test_an_impossible_account_is_refused(
    identity: IdentityFixture, columns: dict[str, Any], constraint: str
) -> None:
    view = await identity.register()
    with pytest.raises(asyncpg.CheckViolationError) as refusal:
        await identity.set_columns(view.id, **columns)
    assert refusal.value.constraint_name == constraint


async def test_an_account_without_an_identifier_is_registered(identity: IdentityFixture) -> None:
    view = await identity.register()
    await identity.set_columns(
        view.id, status="registered", identifier_type=None, identifier_value=None
    )
    assert (await identity.authenticate(await identity.login())).identifier_value is None


async def test_a_blocked_account_may_have_had_no_identifier(identity: IdentityFixture) -> None:
    view = await identity.register()
    await identity.set_columns(
        view.id,
        status="blocked",
        status_before="registered",
        identifier_type=None,
        identifier_value=None,
    )
    assert (await identity.account(view.id))["status"] == "blocked"

"""`govid accounts`: an operator looks at an account, blocks it and gives it back."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
from click.testing import CliRunner, Result

from govid.gateway.cli.commands import commands
from tests.integration.cli.conftest import in_thread

ADA = UUID("0199f3c1-7c1e-7b1a-9d7e-5a1f0c2b3d4e")
EMAIL = "Ada.L@example.com"
NINO = "AB123456C"
WHY = ("--reason", "case 71", "--actor", "ops-7", "--yes")
PERSONAL = (EMAIL, EMAIL.lower(), NINO, "+447123456789")
INSERT = """
    INSERT INTO identity.account (id, email, email_canonical, identifier_type, identifier_value,
                                  phone_number, password_hash, status, created_at, updated_at)
    VALUES ($1, 'Ada.L@example.com', 'ada.l@example.com', 'NIN', 'AB123456C', '+447123456789',
            '', 'verified', '2026-01-05', '2026-01-05')
"""
SESSION = """
    INSERT INTO identity.session (id, account_id, client_id, acr, auth_time, absolute_expires_at)
    VALUES ($1, $1, 'govid', 'Cl', now(), now() + interval '1 hour')
"""


@pytest.fixture
async def ada(connection: Any) -> UUID:
    """Return the id of a verified account with one session."""
    await connection.execute(INSERT, ADA)
    await connection.execute(SESSION, ADA)
    return ADA


@pytest.fixture
def govid(runner: CliRunner) -> Callable[..., Result]:
    """Return what runs `govid accounts` with some arguments, and perhaps something typed."""
    runner.env = {**runner.env, "GOVID_PSEUDONYM_KEY": "k" * 32}
    return lambda *arguments, typed=None: runner.invoke(
        commands, ["accounts", *arguments], input=typed
    )


def shown(govid: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(govid("show", str(ADA), "--json").stdout)
    return found


def test_an_account_is_shown_without_its_holder(govid: Any, ada: UUID) -> None:
    result = govid("show", str(ada), "--json")
    assert json.loads(result.stdout) == {
        "account": {
            "id": str(ada),
            "status": "verified",
            "status_before": None,
            "identifier_type": "NIN",
            "auth_provider": "email",
            "contra_indicators": [],
            "created_at": "2026-01-05T00:00:00Z",
            "tokens_valid_after": None,
            "sessions": 1,
            "open_reviews": 0,
        },
        "death_stands": False,
        "history": [],
    }
    assert [text for text in PERSONAL if text in result.output] == []


@pytest.mark.parametrize(
    ("how", "typed"),
    [
        ("--email", "Ada.L@example.com\n"),
        ("--email", "ada.l@EXAMPLE.com"),
        ("--identifier", "ab 12 34 56 c\n"),
    ],
)
def test_i9_an_account_is_found_by_what_is_typed(
    govid: Any, ada: UUID, how: str, typed: str
) -> None:
    result = govid("show", how, "--json", typed=typed)
    assert json.loads(result.stdout)["account"]["id"] == str(ada)
    assert typed.strip() not in result.output


@pytest.mark.parametrize(
    ("how", "typed"),
    [
        ("--email", "eve@example.com"),
        ("--email", "no address"),
        ("--email", ""),
        ("--identifier", "AB123457D"),
        ("--identifier", "943 476 5919"),
        ("--identifier", "nonsense"),
    ],
)
def test_who_is_not_there_is_not_found(govid: Any, ada: UUID, how: str, typed: str) -> None:
    result = govid("show", how, typed=typed)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == ("govid: there is no such account.\n  Check the spelling.\n")


@pytest.mark.parametrize("which", [(), ("--email", "--identifier"), (str(ADA), "--email")])
def test_it_has_to_be_said_which_account(govid: Any, ada: UUID, which: tuple[str, ...]) -> None:
    result = govid("show", *which)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Select one account" in result.stderr


def test_an_address_as_an_argument_is_reported_where_it_belongs_and_not_repeated(
    govid: Any, ada: UUID
) -> None:
    result = govid("show", EMAIL)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--email" in result.stderr
    assert EMAIL not in result.stderr


def test_a_block_ends_sessions_and_is_in_the_history(govid: Any, ada: UUID) -> None:
    result = govid("block", str(ada), *WHY, "--json")
    assert (result.exit_code, json.loads(result.stdout)) == (
        0,
        {
            "account_id": str(ada),
            "status_before": "verified",
            "status": "blocked",
            "sessions": 1,
            "done": True,
        },
    )
    found = shown(govid)
    assert (found["account"]["status"], found["account"]["status_before"]) == (
        "blocked",
        "verified",
    )
    assert found["account"]["sessions"] == 0
    ((line),) = found["history"]
    assert (line["kind"], line["outcome"], line["operator"], line["stated_reason"]) == (
        "block",
        "applied",
        "ops-7",
        "case 71",
    )


def test_a_restored_account_has_the_state_that_it_had(govid: Any, ada: UUID) -> None:
    govid("block", str(ada), *WHY)
    result = govid("restore", "--email", *WHY, "--json", typed=EMAIL)
    assert (result.exit_code, json.loads(result.stdout)["status"]) == (0, "verified")
    found = shown(govid)
    assert (found["account"]["status"], found["account"]["status_before"]) == ("verified", None)
    assert found["account"]["sessions"] == 0
    assert [line["kind"] for line in found["history"]] == ["block", "restore"]


async def test_each_action_is_audited_in_its_own_transaction(
    govid: Any, ada: UUID, connection: Any
) -> None:
    await in_thread(govid, "block", str(ada), *WHY)
    await in_thread(govid, "restore", str(ada), *WHY)
    rows = await connection.fetch("""
        SELECT type, headers->'actor'->>'id' AS actor, payload::json->>'operator' AS operator,
               payload::json->>'stated_reason' AS stated_reason, payload::json->>'reason' AS reason
        FROM bus.event WHERE type LIKE 'identity.account.%' ORDER BY pos
    """)
    assert [tuple(row) for row in rows] == [
        ("identity.account.blocked", "ops-7", "ops-7", "case 71", "operator"),
        ("identity.account.restored", "ops-7", "ops-7", "case 71", "operator"),
    ]
    # The NHS hears of both: it cancels, and lets the holder book again.
    query = "SELECT count(*) FROM bus.delivery WHERE subscriber = 'nhs.appointments'"
    assert await connection.fetchval(query) == 2


@pytest.mark.parametrize("verb", ["block", "restore"])
async def test_a_dry_run_changes_nothing(govid: Any, ada: UUID, connection: Any, verb: str) -> None:
    await connection.execute(STATES[verb], ada)
    before = dict(await connection.fetchrow("SELECT * FROM identity.account"))
    result = await in_thread(govid, verb, str(ada), "--dry-run", "--json")
    assert (result.exit_code, json.loads(result.stdout)["done"]) == (0, False)
    assert dict(await connection.fetchrow("SELECT * FROM identity.account")) == before
    types = await connection.fetch("SELECT type FROM bus.event")
    assert [row["type"] for row in types] == ["operator.data.viewed"]


STATES = {
    "block": "SELECT $1::uuid",
    "restore": """
        UPDATE identity.account SET status = 'blocked', status_before = 'verified' WHERE id = $1
    """,
}


def test_a_second_identical_action_changes_nothing(govid: Any, ada: UUID) -> None:
    govid("block", str(ada), *WHY)
    before = shown(govid)
    again = govid("block", str(ada), *WHY)
    assert (again.exit_code, again.stdout, again.stderr) == (
        1,
        "",
        "govid: the account is blocked already.\n",
    )
    assert shown(govid) == before


def test_what_is_not_blocked_is_not_restored(govid: Any, ada: UUID) -> None:
    result = govid("restore", str(ada), *WHY)
    assert (result.exit_code, result.stderr) == (1, "govid: the account is not blocked.\n")


async def test_r14_against_a_death_nothing_is_given_back_unless_it_is_taken_back(
    govid: Any, ada: UUID, connection: Any
) -> None:
    await in_thread(govid, "block", str(ada), *WHY)
    await connection.execute(DEATH, ada)
    refused = await in_thread(govid, "restore", str(ada), *WHY)
    assert (refused.exit_code, refused.stdout) == (3, "")
    assert refused.stderr.startswith("govid: a death notice is in force for this account; ")
    assert "--reverse-death" in refused.stderr
    result = await in_thread(govid, "restore", str(ada), *WHY, "--reverse-death", "--json")
    assert (result.exit_code, json.loads(result.stdout)["status"]) == (0, "verified")
    assert (await in_thread(shown, govid))["death_stands"] is False


DEATH = """
    WITH newest AS (
        UPDATE identity.account SET life_event_at = now() WHERE id = $1 RETURNING life_event_at
    )
    INSERT INTO identity.life_event (id, kind, identifier_type, identifier_digest, account_id,
                                     occurred_at, outcome, settled_at)
    SELECT gen_random_uuid(), 'death', 'NIN', repeat('0', 32), $1,
           life_event_at, 'without_effect', now()
    FROM newest
"""


def test_an_id_of_no_account_is_not_found(govid: Any, ada: UUID) -> None:
    result = govid("block", str(UUID(int=7)), *WHY)
    assert (result.exit_code, result.stderr) == (1, "govid: there is no such account.\n")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--yes",), "give --reason"),
        (
            ("--yes", "--reason", "asked by jo@example.com"),
            "seems to contain a personal e-mail address",
        ),
        (("--reason", "case 71"), "give --yes"),
    ],
)
def test_what_is_not_said_is_not_done(
    govid: Any, ada: UUID, options: tuple[str, ...], sentence: str
) -> None:
    result = govid("block", str(ada), *options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert sentence in result.stderr
    assert shown(govid)["account"]["status"] == "verified"


def test_without_the_servers_key_nothing_is_done(runner: CliRunner, govid: Any, ada: UUID) -> None:
    runner.env = {**runner.env, "GOVID_PSEUDONYM_KEY": None}
    result = govid("block", str(ada), *WHY)
    assert (result.exit_code, result.stdout) == (3, "")
    assert "GOVID_PSEUDONYM_KEY is not set" in result.stderr
    assert shown(govid)["account"]["status"] == "verified"


async def test_who_waits_for_the_department_is_asked_about_again(
    govid: Any, ada: UUID, connection: Any
) -> None:
    await connection.execute("UPDATE identity.account SET status = 'pending_verification'")
    await in_thread(govid, "block", str(ada), *WHY)
    await in_thread(govid, "restore", str(ada), *WHY)
    query = "SELECT count(*) FROM bus.delivery WHERE subscriber = 'hmrc.verification'"
    assert await connection.fetchval(query) == 1


def test_times_are_moments(govid: Any, ada: UUID) -> None:
    govid("block", str(ada), *WHY)
    moment = datetime.fromisoformat(shown(govid)["history"][0]["occurred_at"])
    assert moment.tzinfo is not None

"""The operator's own keys: wrong ones are reported, older ones read, none is deleted too soon."""

import json
from typing import Any
from uuid import UUID

import pytest
from click.testing import CliRunner

from govid.bus.shared.crypto import compute_key_id
from govid.gateway.cli.commands import commands
from govid.hmrc.repository import ConsentCipher
from govid.identity.repository.claimed_facts import ClaimedFactsCipher
from govid.identity.repository.key_checks import ConfiguredKeys, record_keys
from tests.integration.cli.conftest import in_thread

ENCRYPTION, PSEUDONYM = (
    "an encryption key of 32 bytes or more",
    "a pseudonym key of 32 bytes or more",
)
NEW = "another key altogether, of 32 bytes or more"
KEYS = {"GOVID_KEY_ENCRYPTION_KEY": ENCRYPTION, "GOVID_PSEUDONYM_KEY": PSEUDONYM}
WRONG_ENCRYPTION = (
    "GOVID_KEY_ENCRYPTION_KEY is not the key that this database was used with: set the former one"
    " as GOVID_OLD_KEY_ENCRYPTION_KEY until `govid keys reencrypt` has ended"
)
WRONG_PSEUDONYM = (
    "GOVID_PSEUDONYM_KEY is not the key that this database was used with: notices, attempts and"
    " locks would not be found; add the former one to GOVID_OLD_PSEUDONYM_KEYS"
)
DROPPED = "GOVID_OLD_PSEUDONYM_KEYS lacks a key that 1 rows need: `govid keys status`"
NOTICE = """
    INSERT INTO identity.life_event (id, kind, identifier_type, identifier_digest,
                                     identifier_key_id, occurred_at, outcome, settled_at)
    VALUES (gen_random_uuid(), 'death', 'NIN', $1, $2, now(), 'unclaimed', now())
"""
ACCOUNT = UUID("0199f3c1-7c1e-7b1a-9d7e-5a1f0c2b3d4e")
INSERT = """
    INSERT INTO identity.account (id, email, email_canonical, password_hash, status, created_at,
                                  updated_at)
    VALUES ($1, 'a', 'a', '', 'registered', now(), now())
"""
FACTS = "INSERT INTO identity.claimed_facts (account_id, sealed, claimed_at) VALUES ($1, $2, now())"
CONSENT = """
    INSERT INTO hmrc.consent (account_id, sealed, renew_at, granted_at, ends_at)
    VALUES ($1, $2, now(), now(), now())
"""
KEY_ROWS = "SELECT purpose, key_id FROM identity.key_check ORDER BY purpose, key_id"


@pytest.fixture
async def used(connection: Any) -> Any:
    """Return a connection to a database that a server with `KEYS` has used."""
    keys = ConfiguredKeys(encryption=(ENCRYPTION.encode(),), pseudonym=(PSEUDONYM.encode(),))
    await record_keys(connection, keys)
    return connection


def faults(runner: CliRunner, **changes: str | None) -> list[str]:
    """Return the faults of `govid check` that are about keys that do not fit."""
    runner.env = {**runner.env, **KEYS, **changes}
    found = json.loads(runner.invoke(commands, ["check", "--json"]).stdout)["faults"]
    return [fault for fault in found if "database was used" in fault or "rows need" in fault]


CASES = [
    pytest.param({}, [], id="the same"),
    pytest.param({"GOVID_KEY_ENCRYPTION_KEY": NEW}, [WRONG_ENCRYPTION], id="encryption"),
    pytest.param({"GOVID_PSEUDONYM_KEY": NEW}, [WRONG_PSEUDONYM], id="pseudonym"),
    pytest.param(
        {"GOVID_KEY_ENCRYPTION_KEY": NEW, "GOVID_PSEUDONYM_KEY": NEW[:-1]},
        [WRONG_ENCRYPTION, WRONG_PSEUDONYM],
        id="both",
    ),
    pytest.param(
        {"GOVID_KEY_ENCRYPTION_KEY": NEW, "GOVID_OLD_KEY_ENCRYPTION_KEY": ENCRYPTION},
        [],
        id="encryption with the former one",
    ),
    pytest.param(
        {"GOVID_PSEUDONYM_KEY": NEW, "GOVID_OLD_PSEUDONYM_KEYS": f"older still,{PSEUDONYM}"},
        [],
        id="pseudonym with the former one",
    ),
]


@pytest.mark.parametrize(("changes", "expected"), CASES)
def test_c11_check_tells_keys_that_do_not_fit(
    runner: CliRunner, used: Any, changes: dict[str, str], expected: list[str]
) -> None:
    assert faults(runner, **changes) == expected


@pytest.mark.parametrize(("changes", "expected"), CASES)
def test_c11_serve_and_migrate_say_the_same_sentence(
    runner: CliRunner, used: Any, changes: dict[str, str], expected: list[str]
) -> None:
    runner.env = {**runner.env, **KEYS, **changes}
    served = runner.invoke(commands, ["serve"])
    migrated = runner.invoke(commands, ["migrate"])
    known = (WRONG_ENCRYPTION, WRONG_PSEUDONYM)
    assert served.exit_code == 3
    assert [one for one in known if f"  - {one}\n" in served.stderr] == expected
    assert [one for one in known if f"fault: {one}\n" in migrated.stderr] == expected


def test_c11_a_database_of_an_earlier_release_fits_every_key(runner: CliRunner) -> None:
    assert faults(runner) == []


async def test_c11_a_key_is_not_dropped_while_rows_need_it(runner: CliRunner, used: Any) -> None:
    await used.execute(NOTICE, "d" * 32, compute_key_id(PSEUDONYM.encode(), "pseudonym"))
    await record_keys(
        used,
        ConfiguredKeys(
            encryption=(ENCRYPTION.encode(),), pseudonym=(NEW.encode(), PSEUDONYM.encode())
        ),
    )
    runner.env = {**runner.env, **KEYS, "GOVID_PSEUDONYM_KEY": NEW}
    result = await run(runner, "check", "--json")
    assert DROPPED in json.loads(result.stdout)["faults"]
    await used.execute(
        "UPDATE identity.life_event SET identifier_key_id = $1",
        compute_key_id(NEW.encode(), "pseudonym"),
    )
    result = await run(runner, "check", "--json")
    assert DROPPED not in json.loads(result.stdout)["faults"]


async def test_c11_status_counts_the_rows_of_each_key(runner: CliRunner, used: Any) -> None:
    await used.execute(NOTICE, "a" * 32, None)
    await used.execute(NOTICE, "b" * 32, compute_key_id(PSEUDONYM.encode(), "pseudonym"))
    await used.execute(NOTICE, "c" * 32, compute_key_id(NEW.encode(), "pseudonym"))
    runner.env = {
        **runner.env,
        **KEYS,
        "GOVID_PSEUDONYM_KEY": NEW,
        "GOVID_OLD_PSEUDONYM_KEYS": PSEUDONYM,
    }
    result = await run(runner, "keys", "status", "--json")
    assert json.loads(result.stdout) == [
        {"key_id": compute_key_id(NEW.encode(), "pseudonym"), "state": "newest", "rows": 1},
        {"key_id": compute_key_id(PSEUDONYM.encode(), "pseudonym"), "state": "older", "rows": 2},
    ]


async def test_c11_everything_is_encrypted_anew_and_a_second_run_finds_it_done(
    runner: CliRunner, used: Any
) -> None:
    await used.execute(INSERT, ACCOUNT)
    old = ClaimedFactsCipher(ENCRYPTION.encode()).cipher
    await used.execute(FACTS, ACCOUNT, old.encrypt(b"facts", ACCOUNT.bytes))
    await used.execute(CONSENT, ACCOUNT, hmrc_cipher().encrypt(b"c", b"holding" + ACCOUNT.bytes))
    runner.env = {
        **runner.env,
        **KEYS,
        "GOVID_KEY_ENCRYPTION_KEY": NEW,
        "GOVID_OLD_KEY_ENCRYPTION_KEY": ENCRYPTION,
    }
    first = await run(runner, "keys", "reencrypt", "--json")
    assert first.exit_code == 0, first.output
    assert {row["column"]: row["renewed"] for row in json.loads(first.stdout)} == {
        "identity.signing_key.private_key": 0,
        "identity.claimed_facts.sealed": 1,
        "hmrc.consent.sealed": 1,
        "hmrc.consent_request.sealed_proof": 0,
    }
    sealed = await used.fetchval("SELECT sealed FROM identity.claimed_facts")
    assert ClaimedFactsCipher(NEW.encode()).cipher.decrypt(sealed, ACCOUNT.bytes) == b"facts"
    again = await run(runner, "keys", "reencrypt", "--json")
    assert [row["renewed"] for row in json.loads(again.stdout)] == [0, 0, 0, 0]
    assert [tuple(row) for row in await used.fetch(KEY_ROWS)] == [
        ("encryption", compute_key_id(NEW.encode(), "encryption")),
        ("pseudonym", compute_key_id(PSEUDONYM.encode(), "pseudonym")),
    ]
    assert faults_of(await run(runner, "check", "--json")) == []


async def test_c11_what_no_key_decrypts_is_left_and_reported(runner: CliRunner, used: Any) -> None:
    await used.execute(INSERT, ACCOUNT)
    lost = ClaimedFactsCipher(b"a key that was lost, 32 bytes or more").cipher.encrypt(
        b"f", ACCOUNT.bytes
    )
    await used.execute(FACTS, ACCOUNT, lost)
    runner.env = {
        **runner.env,
        **KEYS,
        "GOVID_KEY_ENCRYPTION_KEY": NEW,
        "GOVID_OLD_KEY_ENCRYPTION_KEY": ENCRYPTION,
    }
    result = await run(runner, "keys", "reencrypt")
    assert result.exit_code == 1
    assert (
        "1 values were left: they are encrypted with a key that is not configured." in result.stderr
    )
    assert await used.fetchval("SELECT sealed FROM identity.claimed_facts") == lost
    known = [row["key_id"] for row in await used.fetch(KEY_ROWS) if row["purpose"] == "encryption"]
    assert len(known) == 2


async def run(runner: CliRunner, *arguments: str) -> Any:
    return await in_thread(lambda *given: runner.invoke(commands, given), *arguments)


def faults_of(result: Any) -> list[str]:
    found = json.loads(result.stdout)["faults"]
    return [fault for fault in found if "database was used" in fault]


def hmrc_cipher() -> Any:
    return ConsentCipher(ENCRYPTION.encode()).cipher

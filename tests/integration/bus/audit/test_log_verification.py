"""R22: each manipulation of the log by a superuser is found, with its place."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from govid.bus import BusSettings, Database
from govid.bus.audit.keys import AuditKeys
from govid.bus.audit.log_findings import LogFinding
from govid.bus.audit.log_verification import LogVerification
from govid.bus.audit.merkle import TreeAccumulator, hash_leaf
from govid.bus.audit.signed_notes import Checkpoint, open_note
from tests.audit_entries import AUDIT
from tests.integration.bus.audit.sealed_log import SealedLog, execute_as_superuser

SIZES = (3, 4, 5)
"""How many entries each of the three checkpoints adds."""


@pytest.fixture
async def log(bus_settings: BusSettings, database: Database) -> SealedLog:
    """Return a log of twelve entries under three checkpoints."""
    log = SealedLog(bus_settings, database)
    sealer = log.build_sealer()
    for size in SIZES:
        await log.write(size)
        await sealer.run_once()
    return log


async def verify(log: SealedLog, published: Sequence[Checkpoint] = ()) -> list[LogFinding]:
    async with (
        log.database.reads.acquire() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        verification = LogVerification(connection, log.keys, AUDIT, published)
        await verification.count_leaves()
        return [one async for findings in verification.run() for one in findings]


async def entry_ids(log: SealedLog) -> list[Any]:
    rows = await log.database.reads.fetch("SELECT entry_id FROM audit.leaf ORDER BY index")
    return [row["entry_id"] for row in rows]


async def recompute_hashes(log: SealedLog) -> None:
    """Compute all stored hashes and roots again, as an attacker without the key can."""
    rows = await log.database.reads.fetch(
        "SELECT l.index, e.content FROM audit.leaf l JOIN audit.entry e ON e.id = l.entry_id"
        " ORDER BY l.index"
    )
    tree = TreeAccumulator()
    statements = []
    for index, row in enumerate(rows):
        leaf = hash_leaf(row["content"])
        nodes = b"".join(tree.append(leaf)).hex()
        value = f"'\\x{nodes}'" if nodes else "NULL"
        renumber = f"index = {index}, hash = '\\x{leaf.hex()}', nodes = {value}"
        statements += [
            f"UPDATE audit.leaf SET {renumber} WHERE index = {row['index']}",  # noqa: S608 - numbers
            f"UPDATE audit.checkpoint SET root = '\\x{tree.root.hex()}' WHERE size = {tree.size}",  # noqa: S608 - hexadecimal
        ]
    await execute_as_superuser(log.database, *statements)


async def sign_again(log: SealedLog, keys: AuditKeys) -> None:
    """Sign all checkpoints again, as an attacker with a key can."""
    rows = await log.database.reads.fetch("SELECT size, root, at FROM audit.checkpoint")
    notes = {
        row["size"]: keys.note_signer.sign(
            Checkpoint(
                origin=keys.note_signer.name, size=row["size"], root=row["root"], at=row["at"]
            )
        )
        for row in rows
    }
    await execute_as_superuser(
        log.database,
        *(
            f"UPDATE audit.checkpoint SET note = $note${note}$note$ WHERE size = {size}"  # noqa: S608 - a note
            for size, note in notes.items()
        ),
    )


def change(entry_id: Any) -> str:
    return (
        "UPDATE audit.entry SET content = convert_to(replace(convert_from(content, 'UTF8'),"  # noqa: S608 - an id
        f" 'caseworker', 'citizen'), 'UTF8') WHERE id = '{entry_id}'"
    )


def brief(findings: list[LogFinding]) -> list[tuple[str, Any]]:
    return [(one.problem, one.index if one.index is not None else one.entry_id) for one in findings]


async def test_r22_a_log_that_nobody_touched_has_no_finding(log: SealedLog) -> None:
    notes = await log.fetch_whole()
    assert await verify(log, notes) == []


async def test_r22_a_changed_entry_is_named(log: SealedLog) -> None:
    ids = await entry_ids(log)
    await execute_as_superuser(log.database, change(ids[4]))
    findings = await verify(log)
    assert (brief(findings), findings[0].entry_id) == ([("entry_changed", 4)], ids[4])


async def test_r22_a_changed_entry_is_named_although_hashes_were_computed_again(
    log: SealedLog,
) -> None:
    ids = await entry_ids(log)
    await execute_as_superuser(log.database, change(ids[4]))
    await recompute_hashes(log)
    findings = await verify(log)
    # The two later checkpoints do not agree with their signed notes.
    assert sorted(one.problem for one in findings) == [
        "checkpoint_changed", "checkpoint_changed", "entry_changed", "history_rewritten",
    ]  # fmt: skip
    by_problem = {one.problem: one for one in findings}
    assert by_problem["entry_changed"].entry_id == ids[4]
    rewritten = by_problem["history_rewritten"]
    assert (rewritten.first_index, rewritten.end_index) == (3, 7)


async def test_r22_with_a_stolen_key_only_published_checkpoints_reveal_it(log: SealedLog) -> None:
    notes = await log.fetch_whole()
    ids = await entry_ids(log)
    await execute_as_superuser(log.database, change(ids[8]))
    rows = await log.database.reads.fetch("SELECT content FROM audit.entry WHERE id = $1", ids[8])
    mac = log.keys.sign_entry(rows[0]["content"]).hex()
    await execute_as_superuser(
        log.database,
        f"UPDATE audit.entry SET mac = '\\x{mac}' WHERE id = '{ids[8]}'",  # noqa: S608 - hexadecimal
    )
    await recompute_hashes(log)
    await sign_again(log, log.keys)
    assert await verify(log) == []
    (finding,) = await verify(log, notes)
    assert (finding.problem, finding.first_index, finding.end_index) == ("history_rewritten", 7, 12)


async def test_r22_a_deleted_entry_is_named(log: SealedLog) -> None:
    ids = await entry_ids(log)
    await execute_as_superuser(log.database, f"DELETE FROM audit.entry WHERE id = '{ids[2]}'")  # noqa: S608
    findings = await verify(log)
    assert sorted(one.problem for one in findings) == ["entry_removed", "restricted_inserted"]
    assert {one.entry_id for one in findings} == {ids[2]}


async def test_r22_an_entry_deleted_with_its_leaf_leaves_a_gap(log: SealedLog) -> None:
    ids = await entry_ids(log)
    await execute_as_superuser(
        log.database,
        f"DELETE FROM audit.entry WHERE id = '{ids[4]}'",  # noqa: S608
        f"DELETE FROM audit.restricted WHERE entry_id = '{ids[4]}'",  # noqa: S608
        "DELETE FROM audit.leaf WHERE index = 4",
    )
    await execute_as_superuser(log.database, change(ids[9]))
    findings = await verify(log)
    assert [(one.problem, one.first_index or one.index) for one in findings] == [
        ("leaf_missing", 4),
        ("entry_changed", 9),
    ]


async def test_r22_a_deleted_entry_is_in_a_range_although_leaves_were_renumbered(
    log: SealedLog,
) -> None:
    ids = await entry_ids(log)
    await execute_as_superuser(
        log.database,
        f"DELETE FROM audit.entry WHERE id = '{ids[4]}'",  # noqa: S608
        f"DELETE FROM audit.restricted WHERE entry_id = '{ids[4]}'",  # noqa: S608
        "DELETE FROM audit.leaf WHERE index = 4",
    )
    await recompute_hashes(log)
    rewritten = next(one for one in await verify(log) if one.problem == "history_rewritten")
    assert (rewritten.first_index, rewritten.end_index) == (3, 7)


async def test_r22_swapped_entries_are_named(log: SealedLog) -> None:
    ids = await entry_ids(log)
    await execute_as_superuser(
        log.database,
        "UPDATE audit.entry a SET content = b.content, mac = b.mac FROM audit.entry b"  # noqa: S608
        f" WHERE (a.id, b.id) IN (('{ids[1]}', '{ids[2]}'), ('{ids[2]}', '{ids[1]}'))",
    )
    changed = {one.index for one in await verify(log) if one.problem == "entry_changed"}
    assert changed == {1, 2}


async def test_r22_an_inserted_entry_is_named(log: SealedLog) -> None:
    await execute_as_superuser(
        log.database,
        "INSERT INTO audit.entry (id, at, event, subject, content, mac)"
        " SELECT gen_random_uuid(), at, event, subject, content, mac FROM audit.entry LIMIT 1",
        "INSERT INTO audit.entry (id, at, event, subject, content, mac) SELECT gen_random_uuid(),"
        " at, event, subject, content, sha256(content) FROM audit.entry LIMIT 1",
    )
    await log.build_sealer().run_once()
    problems = sorted({one.problem for one in await verify(log)})
    assert "entry_inserted" in problems


async def test_r22_an_entry_that_is_not_sealed_in_time_is_named(log: SealedLog) -> None:
    await log.write(1)
    assert await verify(log) == []
    await execute_as_superuser(
        log.database, "UPDATE audit.entry SET at = at - interval '2 minutes' WHERE position = 13"
    )
    assert "entry_unsealed" in {one.problem for one in await verify(log)}


async def test_r22_a_shortened_log_is_found_by_published_checkpoints(log: SealedLog) -> None:
    notes = await log.fetch_whole()
    await execute_as_superuser(
        log.database,
        "DELETE FROM audit.restricted WHERE entry_id IN"
        " (SELECT entry_id FROM audit.leaf WHERE index >= 7)",
        "DELETE FROM audit.entry WHERE id IN (SELECT entry_id FROM audit.leaf WHERE index >= 7)",
        "DELETE FROM audit.leaf WHERE index >= 7",
        "DELETE FROM audit.checkpoint WHERE size > 7",
    )
    assert await verify(log) == []
    (finding,) = await verify(log, notes)
    assert (finding.problem, finding.first_index, finding.end_index) == ("log_shortened", 7, 12)


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("UPDATE audit.restricted SET content = '{\"correlation_id\":\"other\"}'",
         "restricted_changed"),
        ("UPDATE audit.restricted SET content = repeat('[', 100000)", "restricted_inserted"),
        ("DELETE FROM audit.restricted", "restricted_removed"),
        ("UPDATE audit.leaf SET nodes = sha256('x') WHERE index = 1", "tree_changed"),
        ("DELETE FROM audit.checkpoint WHERE size = 12", "leaf_unsigned"),
        ("UPDATE audit.checkpoint SET note = 'x'", "checkpoint_not_signed"),
        ("UPDATE audit.checkpoint SET root = sha256('x')", "checkpoint_changed"),
    ],
)  # fmt: skip
async def test_r22_other_changed_rows_are_found(
    log: SealedLog, statement: str, problem: str
) -> None:
    await execute_as_superuser(log.database, statement)
    assert problem in {one.problem for one in await verify(log)}


@pytest.mark.parametrize(
    "content",
    ["[" * 100_000, '{"a":' * 50_000, "null", "\x1b[2J", '{"id":1e999}'],
    ids=["nested list", "nested object", "null", "control", "huge number"],
)
@pytest.mark.parametrize("at", ["infinity", "-infinity", "0001-01-01 BC", "9999-12-31", "now"])
async def test_r22_a_hostile_content_is_a_finding_and_no_error(
    log: SealedLog, content: str, at: str
) -> None:
    hexadecimal = content.encode().hex()
    await execute_as_superuser(
        log.database,
        f"UPDATE audit.entry SET content = '\\x{hexadecimal}', at = '{at}' WHERE position = 5",  # noqa: S608
        "INSERT INTO audit.entry (id, at, event, content, mac)"
        " SELECT gen_random_uuid(), at, event, content, sha256('x') FROM audit.entry"
        " WHERE position = 5",
    )
    problems = {one.problem for one in await verify(log)}
    assert {"entry_changed", "entry_unreadable", "entry_inserted"} <= problems


async def test_r22_entries_that_retention_removed_are_no_finding(log: SealedLog) -> None:
    rows = await log.database.reads.fetch("SELECT size, root FROM audit.checkpoint")
    past = datetime(2015, 1, 1, tzinfo=UTC)
    signer = log.keys.note_signer
    aged = {
        row["size"]: signer.sign(
            Checkpoint(origin=signer.name, size=row["size"], root=row["root"], at=past)
        )
        for row in rows
    }
    await execute_as_superuser(
        log.database,
        *(
            "UPDATE audit.checkpoint SET at = '2015-01-01Z', floor = size,"  # noqa: S608 - a note
            f" note = $note${note}$note$"
            f" WHERE size = {size}"
            for size, note in aged.items()
            if size <= 7
        ),
        "UPDATE audit.entry SET at = '2015-01-01Z' WHERE position <= 7",
        "DELETE FROM audit.restricted WHERE entry_id IN"
        " (SELECT id FROM audit.entry WHERE position <= 7)",
    )
    purged = await log.database.reads.fetchval("SELECT audit.purge_entries(now(), 100)")
    assert (purged, await verify(log)) == (7, [])


async def test_r22_a_former_key_verifies_what_it_has_signed(log: SealedLog) -> None:
    log.keys = AuditKeys([b"a new key for tests, 32 bytes long", AUDIT.key], AUDIT.origin)
    await log.write(2)
    await log.build_sealer().run_once()
    assert {one.problem for one in await verify(log)} == set()
    rows = await log.fetch_checkpoints()
    assert open_note(rows[-1]["note"], log.keys.note_verifiers[:1]).size == 14


async def test_r22_retention_and_verification_agree_on_the_age_of_entries(log: SealedLog) -> None:
    settings = msgspec.structs.replace(AUDIT, entry_years=1)
    past = datetime.now(UTC) - timedelta(days=365, minutes=1)
    signer = log.keys.note_signer
    row = (await log.fetch_checkpoints())[-1]
    note = signer.sign(Checkpoint(origin=signer.name, size=row["size"], root=row["root"], at=past))
    await execute_as_superuser(
        log.database,
        "DELETE FROM audit.checkpoint WHERE size < 12",
        f"UPDATE audit.checkpoint SET note = $note${note}$note$",  # noqa: S608 - a note
        "DELETE FROM audit.entry",
        "DELETE FROM audit.restricted",
    )
    async with (
        log.database.reads.acquire() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        verification = LogVerification(connection, log.keys, settings)
        await verification.count_leaves()
        assert [one async for findings in verification.run() for one in findings] == []
    assert verification.counts.purged == 12


async def test_r22_a_leaf_with_an_impossible_index_is_found(log: SealedLog) -> None:
    ids = await entry_ids(log)
    await execute_as_superuser(
        log.database,
        "ALTER TABLE audit.leaf DROP CONSTRAINT leaf_index_check",
        f"UPDATE audit.leaf SET index = -1 WHERE entry_id = '{ids[11]}'",  # noqa: S608 - an id
    )
    assert "leaf_missing" in {one.problem for one in await verify(log)}

"""Verifies the whole audit log: every entry, every leaf, every checkpoint.

The tree is computed again from the stored hashes and compared with each checkpoint, each hash with
its entry, and each entry with its authentication code. So a changed entry is named, even if all
stored hashes were computed again. Memory does not grow with the log.

A superuser may have written anything into the tables: what cannot be read is a finding.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from govid.bus.audit.keys import AuditKeys
from govid.bus.audit.log_findings import (
    LogFinding,
    LogProblem,
    entry_finding,
    log_finding,
    range_finding,
)
from govid.bus.audit.merkle import TreeAccumulator, hash_leaf
from govid.bus.audit.rules import AUDIT_RULES, ENTRY, RestrictedKind, retention_days
from govid.bus.audit.signed_notes import Checkpoint, InvalidNote, open_note
from govid.bus.settings import AuditSettings
from govid.bus.storage.sql import load_statements

QUERIES = load_statements("govid.bus.audit", "log_verification.sql")
PAGE_ROWS = 5_000
UNSEALED_SECONDS = 60
"""An entry is sealed within a second. A younger one without a leaf is no finding."""
LEEWAY = timedelta(days=2)
"""Retention runs every hour, and a server may have been down."""


class EntryContent(msgspec.Struct):
    """The members of an entry's content that are compared with its row."""

    id: UUID
    event: str
    at: str
    subject: UUID | None = None
    restricted: dict[str, str] = {}


class VerifiedCounts(msgspec.Struct, kw_only=True):
    """What was verified so far."""

    entries: int = 0
    leaves: int = 0
    checkpoints: int = 0
    published: int = 0
    purged: int = 0
    """Leaves whose entries were removed by retention."""


class KnownRoot(NamedTuple):
    """A root that the tree must have at a size, and whether the checkpoint was published."""

    root: bytes
    is_published: bool


class LogVerification:
    """One verification, through one asyncpg connection, in a transaction that only reads."""

    def __init__(
        self,
        connection: Any,
        keys: AuditKeys,
        settings: AuditSettings,
        published: Collection[Checkpoint] = (),
    ) -> None:
        """Compare the log with its own checkpoints and with *published* ones."""
        self._connection = connection
        self._keys = keys
        self._kept_days = retention_days(settings)
        self.counts = VerifiedCounts(published=len(published))
        self._tree = TreeAccumulator()
        self._next_index = 0
        self._has_gap = False
        self._roots: dict[int, list[KnownRoot]] = {}
        for checkpoint in published:
            self._expect_root(checkpoint.size, KnownRoot(checkpoint.root, is_published=True))
        self._read_checkpoints_to = 0
        self._has_all_checkpoints = False
        self._good_size = {True: 0, False: 0}
        self._has_conflict = {True: False, False: False}
        self._purged_to = 0
        self._now = datetime.now(UTC)
        self._decoder = msgspec.json.Decoder(EntryContent)
        self._content_kinds = _list_member_kinds()

    async def count_leaves(self) -> int:
        """Return how many leaves the log has; to be called first, in the transaction."""
        totals = await self._connection.fetchrow(QUERIES["totals"])
        self._now = totals["now"]
        total: int = totals["leaves"]
        return total

    async def run(self) -> AsyncIterator[list[LogFinding]]:
        """Verify everything; yield the findings of each page."""
        await self._connection.fetchrow(QUERIES["use_iso_times"])
        yield await self._check_restricted_alone()
        yield await self._check_unsealed()
        await self._connection.fetchrow(QUERIES["use_indexes"])
        async for findings in self._check_leaves():
            yield findings
        yield await self._check_end()

    async def _check_leaves(self) -> AsyncIterator[list[LogFinding]]:
        first = -(2**63)
        while rows := await self._connection.fetch(QUERIES["leaves"], first, PAGE_ROWS):
            first = rows[-1]["index"] + 1
            findings: list[LogFinding] = []
            await self._read_checkpoints(self._next_index + len(rows), findings)
            values = await self._fetch_restricted([row["entry_id"] for row in rows])
            for row in rows:
                if row["index"] != self._next_index:
                    self._skip_gap(row["index"], findings)
                self._next_index = row["index"] + 1
                self._check_leaf(row, values.get(row["entry_id"], ()), findings)
                self._compare_roots(findings)
            yield findings

    def _check_leaf(self, row: Any, values: Sequence[Any], findings: list[LogFinding]) -> None:
        index, leaf_hash = row["index"], row["hash"]
        if row["id"] is None:
            if index < self._purged_to:
                self.counts.purged += 1
            else:
                findings.append(
                    entry_finding("entry_removed", "was removed", row["entry_id"], index)
                )
        else:
            self.counts.entries += 1
            if hash_leaf(row["content"]) != leaf_hash:
                findings.append(
                    entry_finding("entry_changed", "is not what was sealed", row["id"], index)
                )
            elif not self._keys.is_authentic(row["content"], row["mac"]):
                findings.append(
                    entry_finding("entry_changed", "was not written by govid", row["id"], index)
                )
            self._check_content(row, values, index, findings)
        nodes = b"".join(self._tree.append(leaf_hash)) or None
        if nodes != row["nodes"] and not self._has_gap:
            findings.append(
                entry_finding("tree_changed", "has wrong nodes above it", row["entry_id"], index)
            )
        self.counts.leaves += 1

    def _check_content(
        self, row: Any, values: Sequence[Any], index: int | None, findings: list[LogFinding]
    ) -> None:
        """Compare the content of an entry with its columns and its personal values."""
        try:
            content = self._decoder.decode(row["content"])
            at = datetime.fromisoformat(content.at).astimezone(UTC)
            is_same = (content.id, content.event, content.subject) == (
                row["id"],
                row["event"],
                row["subject"],
            ) and at == _parse_stored_time(row["at"])
        except (msgspec.DecodeError, RecursionError, ValueError, OverflowError):
            findings.append(
                entry_finding("entry_unreadable", "has a content of another form", row["id"], index)
            )
            return
        if not is_same:
            findings.append(
                entry_finding("entry_changed", "has other columns than content", row["id"], index)
            )
        self._check_restricted(content, at, values, index, findings)

    def _check_restricted(
        self,
        content: EntryContent,
        at: datetime,
        values: Sequence[Any],
        index: int | None,
        findings: list[LogFinding],
    ) -> None:
        digests = dict(content.restricted)
        for row in values:
            for member, value in _decode_values(row["content"]).items():
                digest = digests.pop(member, None)
                problem: LogProblem | None = None
                if digest is None:
                    problem = "restricted_inserted"
                elif not isinstance(value, str) or digest not in self._keys.digests(member, value):
                    problem = "restricted_changed"
                if problem is not None:
                    findings.append(
                        entry_finding(problem, "has other personal values", content.id, index)
                    )
        kinds = self._content_kinds.get(content.event, {})
        missing = (
            member
            for member in digests
            if at > self._oldest_kept(kinds.get(member, RestrictedKind.STAFF))
        )
        if next(missing, None) is not None:
            findings.append(
                entry_finding(
                    "restricted_removed", "has lost personal values too early", content.id, index
                )
            )

    def _oldest_kept(self, kind: RestrictedKind) -> datetime:
        """Return the time after which personal values of *kind* must still be there."""
        return self._now - timedelta(days=self._kept_days[kind]) + LEEWAY

    async def _fetch_restricted(self, ids: Sequence[UUID]) -> Mapping[UUID, list[Any]]:
        found: dict[UUID, list[Any]] = {}
        for row in await self._connection.fetch(QUERIES["restricted"], ids):
            found.setdefault(row["entry_id"], []).append(row)
        return found

    async def _read_checkpoints(self, until_size: int, findings: list[LogFinding]) -> None:
        """Read the checkpoints of up to *until_size* leaves, and expect their roots."""
        while not self._has_all_checkpoints and self._read_checkpoints_to < until_size:
            rows = await self._connection.fetch(
                QUERIES["checkpoints"], self._read_checkpoints_to, PAGE_ROWS
            )
            self._has_all_checkpoints = len(rows) < PAGE_ROWS
            for row in rows:
                self._check_checkpoint(row, findings)
                self._read_checkpoints_to = row["size"]

    def _check_checkpoint(self, row: Any, findings: list[LogFinding]) -> None:
        size = row["size"]
        self.counts.checkpoints += 1
        try:
            checkpoint = open_note(row["note"], self._keys.note_verifiers)
        except InvalidNote:
            findings.append(
                log_finding("checkpoint_not_signed", f"no known key has signed checkpoint {size}")
            )
            # Its root is no evidence, but the range of a rewritten history begins before it.
            self._expect_root(size, KnownRoot(row["root"], is_published=False))
            return
        if (checkpoint.size, checkpoint.root) != (size, row["root"]):
            findings.append(
                log_finding("checkpoint_changed", f"checkpoint {size} is not what was signed")
            )
        self._expect_root(checkpoint.size, KnownRoot(checkpoint.root, is_published=False))
        kept = timedelta(days=self._kept_days[ENTRY])
        if checkpoint.at is not None and checkpoint.at < self._now - kept:
            self._purged_to = max(self._purged_to, checkpoint.size)

    def _expect_root(self, size: int, known: KnownRoot) -> None:
        self._roots.setdefault(size, []).append(known)

    def _compare_roots(self, findings: list[LogFinding]) -> None:
        known = self._roots.pop(self._next_index, None)
        if known is None or self._has_gap:
            return
        root = self._tree.root
        for one in known:
            if self._has_conflict[one.is_published]:
                continue
            if one.root == root:
                self._good_size[one.is_published] = self._tree.size
                continue
            self._has_conflict[one.is_published] = True
            which = "published checkpoint" if one.is_published else "checkpoint"
            findings.append(
                range_finding(
                    "history_rewritten",
                    f"the log differs from {which} {self._tree.size}, and the change is among",
                    self._good_size[one.is_published],
                    self._tree.size,
                )
            )

    def _skip_gap(self, next_index: int, findings: list[LogFinding]) -> None:
        """Report missing leaves. Without them no later root can be computed."""
        self._has_gap = True
        if next_index > self._next_index:
            text, first, end = "leaves were removed", self._next_index, next_index
        else:
            text, first, end = "a leaf has an impossible index", next_index, next_index + 1
        findings.append(range_finding("leaf_missing", text, first, end))

    async def _check_end(self) -> list[LogFinding]:
        """Check what remains: checkpoints beyond the last leaf, and leaves beyond them."""
        findings: list[LogFinding] = []
        while not self._has_all_checkpoints:
            await self._read_checkpoints(self._read_checkpoints_to + 1, findings)
        beyond = {
            is_published: [
                size
                for size, roots in self._roots.items()
                if size > self._next_index
                and any(one.is_published is is_published for one in roots)
            ]
            for is_published in (False, True)
        }
        for is_published, sizes in beyond.items():
            if sizes:
                which = "published checkpoints" if is_published else "checkpoints"
                findings.append(
                    range_finding(
                        "log_shortened",
                        f"{which} cover entries that the log does not have",
                        self._next_index,
                        max(sizes),
                    )
                )
        if self._next_index > self._read_checkpoints_to:
            findings.append(
                range_finding(
                    "leaf_unsigned",
                    "no checkpoint covers the end of the log",
                    self._read_checkpoints_to,
                    self._next_index,
                )
            )
        return findings

    async def _check_unsealed(self) -> list[LogFinding]:
        findings: list[LogFinding] = []
        position = -(2**63)
        while rows := await self._connection.fetch(QUERIES["unsealed"], position, PAGE_ROWS):
            values = await self._fetch_restricted([row["id"] for row in rows])
            for row in rows:
                self.counts.entries += 1
                self._check_unsealed_entry(row, values.get(row["id"], ()), findings)
            position = rows[-1]["position"]
        return findings

    def _check_unsealed_entry(
        self, row: Any, values: Sequence[Any], findings: list[LogFinding]
    ) -> None:
        if not self._keys.is_authentic(row["content"], row["mac"]):
            findings.append(entry_finding("entry_inserted", "was not written by govid", row["id"]))
            return
        self._check_content(row, values, None, findings)
        at = _parse_stored_time(row["at"])
        if at is None or at < self._now - timedelta(seconds=UNSEALED_SECONDS):
            findings.append(entry_finding("entry_unsealed", "has no leaf", row["id"]))

    async def _check_restricted_alone(self) -> list[LogFinding]:
        kept = timedelta(days=self._kept_days[ENTRY])
        rows = await self._connection.fetch(
            QUERIES["restricted_alone"], self._now - kept + LEEWAY, PAGE_ROWS
        )
        return [
            entry_finding(
                "restricted_inserted", "has personal values but does not exist", row["entry_id"]
            )
            for row in rows
        ]


def _decode_values(content: str) -> Mapping[str, Any]:
    """Return the personal values of a row; one that cannot be read has an impossible member."""
    try:
        values = msgspec.json.decode(content)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return {"": None}
    return values if isinstance(values, dict) else {"": None}


def _parse_stored_time(text: str) -> datetime | None:
    """Return a time as PostgreSQL prints it, None for one outside Python's calendar."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _list_member_kinds() -> Mapping[str, Mapping[str, RestrictedKind]]:
    """Return how long each personal member is kept, by the event of the entry."""
    kinds: dict[str, dict[str, RestrictedKind]] = {}
    for rule in AUDIT_RULES.values():
        members = kinds.setdefault(rule.name, {})
        members.update(dict.fromkeys(("address", "correlation_id"), rule.request_kind))
        for kind, names in rule.restricted.items():
            members.update({name if isinstance(name, str) else name[0]: kind for name in names})
    return kinds

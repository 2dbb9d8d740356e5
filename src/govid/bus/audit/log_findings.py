"""The findings of a verification of the audit log, each with its place and its remedy."""

from typing import Literal
from uuid import UUID

import msgspec

LogProblem = Literal[
    "entry_changed",
    "entry_removed",
    "entry_inserted",
    "entry_unsealed",
    "entry_unreadable",
    "restricted_changed",
    "restricted_removed",
    "restricted_inserted",
    "leaf_missing",
    "leaf_unsigned",
    "tree_changed",
    "checkpoint_changed",
    "checkpoint_not_signed",
    "history_rewritten",
    "log_shortened",
    "published_not_signed",
    "published_unreadable",
]
"""What is wrong. The values are permanent, because commands print them."""

EVIDENCE_REMEDY = 'keep a copy of the database as evidence and read docs/runbook.md, "Audit log"'
SEALER_REMEDY = "check that a server runs, and look for audit.sealing_failed in its log"
KEY_REMEDY = "set every former key in GOVID_OLD_AUDIT_KEYS; if none is missing, it was forged"

REMEDIES: dict[LogProblem, str] = {
    "entry_unsealed": SEALER_REMEDY,
    "leaf_unsigned": SEALER_REMEDY,
    "entry_inserted": KEY_REMEDY,
    "checkpoint_not_signed": KEY_REMEDY,
    "published_not_signed": KEY_REMEDY,
    "published_unreadable": "give a file of checkpoints: signed notes, or records of the topic",
}
"""What to do, where it is not to keep the evidence."""


class LogFinding(msgspec.Struct, frozen=True, kw_only=True):
    """One problem with the log.

    `index` is the number of an entry's leaf, from 0. A range of entries is `first_index` to before
    `end_index`: the first bad checkpoint covers them, and the last good one does not.
    """

    problem: LogProblem
    text: str
    remedy: str
    entry_id: UUID | None = None
    index: int | None = None
    first_index: int | None = None
    end_index: int | None = None

    def format_line(self) -> str:
        """Format the finding in one line."""
        return f"{self.problem}: {self.text}. To do: {self.remedy}."


def entry_finding(
    problem: LogProblem, what: str, entry_id: UUID, index: int | None = None
) -> LogFinding:
    """Report *problem* with one entry; *what* continues the sentence that names it."""
    place = "" if index is None else f" (leaf {index})"
    return LogFinding(
        problem=problem,
        text=f"entry {entry_id}{place} {what}",
        remedy=REMEDIES.get(problem, EVIDENCE_REMEDY),
        entry_id=entry_id,
        index=index,
    )


def range_finding(problem: LogProblem, what: str, first: int, end: int) -> LogFinding:
    """Report *problem* with the entries from leaf *first* to before *end*."""
    return LogFinding(
        problem=problem,
        text=f"{what}: leaves {first} to {end - 1}",
        remedy=REMEDIES.get(problem, EVIDENCE_REMEDY),
        first_index=first,
        end_index=end,
    )


def log_finding(problem: LogProblem, text: str) -> LogFinding:
    """Report *problem* with the log or with a checkpoint."""
    return LogFinding(problem=problem, text=text, remedy=REMEDIES.get(problem, EVIDENCE_REMEDY))

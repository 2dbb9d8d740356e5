"""Reads checkpoints that left the database: signed notes, or records of their Kafka topic.

A file may hold one note, several notes one after the other, or JSON lines in which some member
`checkpoint` is a note, as Kafka's tools and `govid events tail --json` print them. Any text may
stand there: what cannot be read is reported, and never an error.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from govid.bus.audit.checkpoint_file import open_regular_file
from govid.bus.audit.keys import AuditKeys
from govid.bus.audit.log_findings import LogFinding, log_finding
from govid.bus.audit.signed_notes import (
    MAX_NOTE_LENGTH,
    Checkpoint,
    InvalidNote,
    UnknownNoteKey,
    open_note,
)

MAX_LINE_BYTES = 65_536
MAX_DEPTH = 8


def read_published_checkpoints(
    path: Path, keys: AuditKeys
) -> tuple[Sequence[Checkpoint], Sequence[LogFinding]]:
    """Return the checkpoints in the file at *path*, and a finding for each that is none.

    Raises:
        OSError: the file cannot be read.
        InvalidCheckpointFile: it is no regular file.
    """
    checkpoints, findings = [], []
    for number, note in _read_notes(path):
        where = f"{path.name}, line {number}"
        if note is None:
            findings.append(log_finding("published_unreadable", f"{where} holds no checkpoint"))
            continue
        try:
            checkpoints.append(open_note(note, keys.note_verifiers))
        except UnknownNoteKey:
            text = f"{where}: the checkpoint is signed by no known key"
            findings.append(log_finding("published_not_signed", text))
        except InvalidNote:
            text = f"{where}: the checkpoint is damaged"
            findings.append(log_finding("published_not_signed", text))
    if not checkpoints and not findings:
        findings.append(log_finding("published_unreadable", f"{path.name} holds no checkpoint"))
    return checkpoints, findings


def _read_notes(path: Path) -> Iterator[tuple[int, str | None]]:
    """Yield the notes of a file, each with the number of its first line; None if it is none."""
    with open_regular_file(path) as handle:
        lines: list[str] = []
        first, is_signed = 1, False
        for number, line in enumerate(_read_lines(handle), 1):
            text = None if line is None else _decode_text(line)
            if text is None or text.startswith("{"):
                yield number, None if text is None else _find_note(text)
                continue
            if is_signed and not text.startswith("—"):
                yield first, _join_note(lines)
                lines, is_signed = [], False
            if not lines:
                if not text.strip():
                    continue
                first = number
            lines.append(text)
            is_signed = is_signed or text.startswith("—")
            if len(lines) > MAX_NOTE_LENGTH:
                yield first, None
                lines, is_signed = [], False
        if any(line.strip() for line in lines):
            yield first, _join_note(lines)


def _join_note(lines: Sequence[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _read_lines(handle: Any) -> Iterator[bytes | None]:
    """Yield the lines of *handle*, None for one that is too long."""
    while line := handle.readline(MAX_LINE_BYTES):
        if line.endswith(b"\n") or len(line) < MAX_LINE_BYTES:
            yield line.removesuffix(b"\n")
            continue
        yield None
        while (rest := handle.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
            pass


def _decode_text(line: bytes) -> str | None:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return None


def _find_note(line: str) -> str | None:
    """Return the first member `checkpoint` of a JSON object, at any level."""
    try:
        return _search(msgspec.json.decode(line), MAX_DEPTH)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return None


def _search(value: Any, depth: int) -> str | None:
    if not isinstance(value, dict) or depth == 0:
        return None
    found = value.get("checkpoint")
    if isinstance(found, str):
        return found
    return next(
        (note for one in value.values() if (note := _search(one, depth - 1)) is not None), None
    )

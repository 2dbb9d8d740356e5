"""Signed notes: what is signed is read back, and nothing else is."""

from datetime import UTC, datetime

import pytest

from govid.bus.audit.keys import AuditKeys
from govid.bus.audit.signed_notes import Checkpoint, InvalidNote, UnknownNoteKey, open_note

KEYS = AuditKeys([b"k" * 32], "govid.test/audit")
OTHERS = AuditKeys([b"o" * 32], "govid.test/audit")
CHECKPOINT = Checkpoint(
    origin="govid.test/audit", size=7, root=b"r" * 32, at=datetime(2026, 1, 5, tzinfo=UTC)
)
NOTE = KEYS.note_signer.sign(CHECKPOINT)


def test_a_signed_checkpoint_is_read_back() -> None:
    assert open_note(NOTE, KEYS.note_verifiers) == CHECKPOINT


def test_a_note_of_an_unknown_key_is_refused() -> None:
    with pytest.raises(UnknownNoteKey):
        open_note(NOTE, OTHERS.note_verifiers)


@pytest.mark.parametrize(
    "note",
    [
        "",
        NOTE.replace("\n7\n", "\n8\n"),
        NOTE.replace("\n7\n", "\n07\n"),
        NOTE.replace("\n7\n", "\n9223372036854775808\n"),
        NOTE.replace("2026-01-05", "2026-02-30"),
        NOTE.replace("\n\n", "\n"),
        NOTE.rstrip("\n"),
        NOTE + "more\n",
        NOTE.partition("— ")[0],
        NOTE + "x" * 4_096,
    ],
)
def test_a_changed_note_is_refused(note: str) -> None:
    with pytest.raises(InvalidNote):
        open_note(note, KEYS.note_verifiers)

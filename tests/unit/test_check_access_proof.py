"""`tools/check_access_proof.py`, run as citizens run it: as a process, without govid."""

import ast
import base64
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from govid.bus.audit.keys import AuditKeys
from govid.bus.audit.merkle import (
    TreeAccumulator,
    consistency_ranges,
    hash_leaf,
    inclusion_ranges,
)
from govid.bus.audit.signed_notes import Checkpoint

TOOL = Path(__file__).parents[2] / "tools" / "check_access_proof.py"
KEYS = AuditKeys([b"k" * 32], "govid.test/audit")
OTHERS = AuditKeys([b"o" * 32], "govid.test/audit")
VKEY = KEYS.note_signer.verifier.vkey
ENTRY = json.dumps(
    {
        "id": "019b8d3d-1a40-7b3c-9d2e-5f6a7b8c9d0e",
        "at": "2026-01-05T09:40:00Z",
        "extensions": {"role": "\x1b[2Joperator\u2028\u202e", "fields": ["account", "sessions"]},
    }
)
LEAVES = [hash_leaf(b"%d" % number) for number in range(12)]
LEAVES[4] = hash_leaf(ENTRY.encode())


def root(first: int, end: int) -> bytes:
    tree = TreeAccumulator()
    for leaf in LEAVES[first:end]:
        tree.append(leaf)
    return tree.root


def note(size: int, keys: AuditKeys = KEYS, origin: str = "govid.test/audit") -> str:
    at = datetime(2026, 1, 5, tzinfo=UTC)
    return keys.note_signer.sign(Checkpoint(origin=origin, size=size, root=root(0, size), at=at))


def encode(ranges: list[tuple[int, int]]) -> str:
    return base64.b64encode(b"".join(root(*one) for one in ranges)).decode()


def proof(size: int = 7, **changes: Any) -> str:
    path = encode(inclusion_ranges(4, size))
    return json.dumps(
        {"entry": ENTRY, "index": 4, "path": path, "checkpoint": note(size), **changes},
        ensure_ascii=False,
    )


def newer(old: int, size: int, **changes: Any) -> str:
    path = encode(consistency_ranges(old, size))
    return json.dumps({"from": old, "path": path, "checkpoint": note(size), **changes})


def run(tmp_path: Path, text: str | bytes, against: str | None = None, key: str = VKEY) -> Any:
    file, other = tmp_path / "proof.json", tmp_path / "newer.json"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    other.write_text(against or "", "utf-8")
    more = ["--against", str(other)] if against is not None else []
    done = subprocess.run(
        [sys.executable, "-I", str(TOOL), str(file), "--key", key, *more],
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert b"Traceback" not in done.stderr
    return done


@pytest.mark.parametrize(
    ("size", "later"), [(5, 5), (5, 6), (7, 12), (8, 8), (8, 9), (8, 12), (6, 11)]
)
def test_a_valid_proof_holds_against_each_later_log(tmp_path: Path, size: int, later: int) -> None:
    done = run(tmp_path, proof(size), newer(size, later))
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode().splitlines()[-2:] == [
        f"Contained: entry 5 of the log of {size} entries, signed by govid.test/audit.",
        f"Nothing was taken back: the log of {later} entries begins with the log of {size}.",
    ]


def test_texts_of_an_entry_cannot_move_the_cursor(tmp_path: Path) -> None:
    printed = run(tmp_path, proof()).stdout.decode()
    assert r"role: \x1b[2Joperator\u2028\u202e" in printed
    assert "fields: account, sessions\n" in printed


@pytest.mark.parametrize(
    ("text", "against"),
    [
        (proof(index=3), None),
        (proof(index=7), None),
        (proof(path=""), None),
        (proof(entry=ENTRY.replace("sessions", "session")), None),
        (proof(checkpoint=note(8)), None),
        (proof(checkpoint=note(7, OTHERS)), None),
        (proof(checkpoint=note(7, origin="other.test/audit")), None),
        (proof(checkpoint="nothing"), None),
        (proof(), newer(7, 12, path=encode(consistency_ranges(6, 12)))),
        (proof(), newer(5, 6)),
        (proof(), newer(7, 12, checkpoint=note(11))),
        (proof(), newer(7, 12, checkpoint=note(12, OTHERS))),
        (proof(), note(6)),
    ],
)
def test_what_does_not_hold_is_refused(tmp_path: Path, text: str, against: str | None) -> None:
    done = run(tmp_path, text, against)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\xff",
        b"[" * 60_000,
        b"[]",
        b" " * 65_537,
        proof(index=True),
        proof(index=-1),
        proof(index=2**63),
        proof(index="4"),
        proof(path=None),
        proof()[:-1] + ',"index":4}',
        proof().replace('"index": 4', '"index": ' + "9" * 5_000),
        proof(entry="{}"),
    ],
)
def test_unusable_files_end_with_2(tmp_path: Path, text: str | bytes) -> None:
    done = run(tmp_path, text)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)


def test_a_flipped_bit_never_passes(tmp_path: Path) -> None:
    content = proof().encode()
    places = range(0, len(content), 61)
    changed = [content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :] for at in places]
    assert [one for one in changed if run(tmp_path, one).returncode == 0] == []


@pytest.mark.parametrize("key", ["nothing", "/dev/zero", "/", VKEY.replace("+", "+0", 1), "\udcff"])
def test_unusable_keys_end_with_2(tmp_path: Path, key: str) -> None:
    assert run(tmp_path, proof(), key=key).returncode == 2


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert run(tmp_path, proof(), key=str(tmp_path / "pipe")).returncode == 2


def test_it_is_short_and_needs_only_cryptography() -> None:
    text = TOOL.read_text("utf-8")
    assert len(text.splitlines()) <= 150
    tree = ast.walk(ast.parse(text, feature_version=(3, 9)))
    names = {
        name.partition(".")[0]
        for node in tree
        for name in (
            [one.name for one in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert names - sys.stdlib_module_names == {"cryptography"}

"""Formats, signs and opens checkpoints: signed notes with the size and root of the tree.

    govid.example/audit
    1024
    <root, base64>
    at 2026-01-31T12:00:00Z

    — govid.example/audit <key id and signature, base64>

Source: c2sp.org/signed-note and c2sp.org/tlog-checkpoint. The line `at` is an extension line.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from govid.bus.audit.merkle import HASH_BYTES

MAX_NOTE_LENGTH = 4096
MAX_SIGNATURES = 16
MAX_SIZE = 2**63 - 1
_ED25519 = b"\x01"
_KEY_ID_BYTES = 4
_TEXT = re.compile(
    r"(?P<origin>[^\s+]{1,200})\n(?P<size>0|[1-9][0-9]{0,18})\n(?P<root>[A-Za-z0-9+/=]{44})\n"
    r"(?:at (?P<at>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})Z\n)?",
    re.ASCII,
)
_SIGNATURE = re.compile(r"— (?P<name>[^\s+]{1,200}) (?P<code>[A-Za-z0-9+/=]{1,200})\n")


class InvalidNote(ValueError):
    """The text is no checkpoint, or no known key has signed it."""


class UnknownNoteKey(InvalidNote):
    """The checkpoint is signed, but by none of the known keys."""


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a log: its name, number of entries and root hash.

    `at` is the time of its signature in UTC, to the second; None if the note has none.
    """

    origin: str
    size: int
    root: bytes
    at: datetime | None = None

    def format_text(self) -> str:
        """Return the signed text."""
        root = base64.b64encode(self.root).decode()
        at = f"at {self.at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}\n" if self.at else ""
        return f"{self.origin}\n{self.size}\n{root}\n{at}"


class NoteVerifier:
    """A public key that verifies signed notes."""

    def __init__(self, name: str, key: Ed25519PublicKey) -> None:
        """Verify signatures of *key*, which belongs to *name*."""
        self.name = name
        self._key = key
        self._raw = _ED25519 + key.public_bytes_raw()
        self.key_id = hashlib.sha256(name.encode() + b"\n" + self._raw).digest()[:_KEY_ID_BYTES]

    @property
    def vkey(self) -> str:
        """The key as text: its name, id and value."""
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(self._raw).decode()}"

    def is_valid(self, text: str, signature: bytes) -> bool:
        """Tell whether *signature* is that of *text*."""
        try:
            self._key.verify(signature, text.encode())
        except InvalidSignature:
            return False
        return True


class NoteSigner:
    """A private key that signs notes."""

    def __init__(self, name: str, key: Ed25519PrivateKey) -> None:
        """Sign with *key* as *name*."""
        self.name = name
        self._key = key
        self.verifier = NoteVerifier(name, key.public_key())

    def sign(self, checkpoint: Checkpoint) -> str:
        """Return the signed note of *checkpoint*. Equal checkpoints have equal notes."""
        text = checkpoint.format_text()
        code = base64.b64encode(self.verifier.key_id + self._key.sign(text.encode())).decode()
        return f"{text}\n— {self.name} {code}\n"

    def __repr__(self) -> str:
        """Show no key (I9)."""
        return f"<NoteSigner {self.name}>"


def open_note(note: str, verifiers: Sequence[NoteVerifier]) -> Checkpoint:
    """Return the checkpoint of *note* if one of *verifiers* has signed it.

    Signatures of unknown keys are ignored, as the specification demands.

    Raises:
        UnknownNoteKey: no known key has signed it.
        InvalidNote: it is no checkpoint, or the signature of a known key is wrong.
    """
    checkpoint, text, signatures = _parse_note(note)
    known = {(one.name, one.key_id): one for one in verifiers if one.name == checkpoint.origin}
    is_signed = False
    for name, key_id, signature in signatures:
        verifier = known.get((name, key_id))
        if verifier is None:
            continue
        if not verifier.is_valid(text, signature):
            raise InvalidNote("the signature is wrong")
        is_signed = True
    if not is_signed:
        raise UnknownNoteKey("no known key has signed it")
    return checkpoint


def _parse_note(note: str) -> tuple[Checkpoint, str, list[tuple[str, bytes, bytes]]]:
    if len(note) > MAX_NOTE_LENGTH:
        raise InvalidNote("the note is too long")
    head, separator, tail = note.partition("\n\n")
    text = f"{head}\n"
    found = _TEXT.fullmatch(text)
    if not separator or found is None:
        raise InvalidNote("the text is no checkpoint")
    size, root = int(found["size"]), _decode_base64(found["root"])
    if size > MAX_SIZE or len(root) != HASH_BYTES:
        raise InvalidNote("the size or the root is impossible")
    try:
        at = datetime.fromisoformat(found["at"]).replace(tzinfo=UTC) if found["at"] else None
    except ValueError:
        raise InvalidNote("the time is impossible") from None
    checkpoint = Checkpoint(origin=found["origin"], size=size, root=root, at=at)
    return checkpoint, text, list(_parse_signatures(tail))


def _parse_signatures(tail: str) -> Iterator[tuple[str, bytes, bytes]]:
    lines = tail.splitlines(keepends=True)
    if not 0 < len(lines) <= MAX_SIGNATURES:
        raise InvalidNote("it has no signature or too many")
    for line in lines:
        found = _SIGNATURE.fullmatch(line)
        if found is None:
            raise InvalidNote("a signature line is malformed")
        code = _decode_base64(found["code"])
        yield found["name"], code[:_KEY_ID_BYTES], code[_KEY_ID_BYTES:]


def _decode_base64(text: str) -> bytes:
    try:
        decoded = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise InvalidNote("it is not base64") from None
    if base64.b64encode(decoded).decode() != text:
        raise InvalidNote("it is not canonical base64")
    return decoded

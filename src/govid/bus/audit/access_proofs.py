"""Builds proofs that are checked without govid, by `tools/check_access_proof.py` for example.

An access proof shows that an entry is in the log of a signed checkpoint. A consistency proof shows
that a newer log begins with an older one, so that no entry was taken back or changed.
"""

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from govid.bus.audit.access_log import (
    MAX_CONTENT_BYTES,
    QUERIES,
    AccessEntryDamaged,
    decode_read,
)
from govid.bus.audit.keys import AuditKeys
from govid.bus.audit.merkle import InvalidProof, hash_leaf, root_from_inclusion
from govid.bus.audit.tree_storage import (
    TreeDamaged,
    build_consistency_path,
    build_inclusion_path,
)
from govid.bus.shared.context import Principal
from govid.bus.shared.errors import ErrorKind, GovidError, InvalidRequest

if TYPE_CHECKING:
    from govid.bus.storage.database import Database


class AccessEntryNotFound(GovidError):
    """Your access log has no such entry."""

    code = "access-entry-not-found"
    kind = ErrorKind.NOT_FOUND


class AccessEntryUnsealed(GovidError):
    """The entry is being sealed; please try again shortly."""

    code = "access-entry-unsealed"
    kind = ErrorKind.UNAVAILABLE


class CheckpointNotFound(GovidError):
    """The audit log is still empty."""

    code = "checkpoint-not-found"
    kind = ErrorKind.NOT_FOUND


class AuditLogDamaged(GovidError):
    """The audit log is damaged, and has no valid proof."""

    code = "audit-log-damaged"
    kind = ErrorKind.UNAVAILABLE


class AccessProofView(msgspec.Struct, frozen=True, kw_only=True):
    """The proof that an entry is in the log. It is checked without govid."""

    entry: Annotated[str, Meta(description="The exact JSON text that was hashed.")]
    index: Annotated[int, Meta(description="The place of the entry in the log, from 0.")]
    path: Annotated[str, Meta(description="SHA-256 hashes, joined, in base64 (RFC 9162).")]
    checkpoint: Annotated[str, Meta(description="A signed note (C2SP): size and root hash.")]


class ConsistencyProofView(msgspec.Struct, frozen=True, kw_only=True):
    """The proof that the log of the checkpoint begins with the log of `from` entries."""

    old_size: int = msgspec.field(name="from")
    path: Annotated[str, Meta(description="SHA-256 hashes, joined, in base64 (RFC 9162).")]
    checkpoint: Annotated[str, Meta(description="A signed note (C2SP): size and root hash.")]


class VerifierKeyView(msgspec.Struct, frozen=True, kw_only=True):
    """A public key that verifies checkpoints."""

    vkey: Annotated[str, Meta(description="Name, id and key, as in C2SP signed notes.")]
    is_current: Annotated[bool, Meta(description="Whether new checkpoints are signed with it.")]


class VerifierKeysView(msgspec.Struct, frozen=True, kw_only=True):
    """The public keys of the log, newest first."""

    keys: Sequence[VerifierKeyView]


class AccessProofs:
    """Builds the proofs of one log.

    The statements of a proof need no common transaction, because the tree only grows: the rows of
    an older tree are part of each newer one.
    """

    def __init__(self, database: "Database", keys: AuditKeys) -> None:
        """Read from *database*, which may still be closed; *keys* have signed its checkpoints."""
        self._database = database
        self._keys = keys

    async def prove_entry(self, principal: Principal, entry_id: UUID) -> AccessProofView:
        """Return the proof of an entry in the principal's access log.

        Raises:
            AccessEntryNotFound: there is no such entry, or it is about another account.
            AccessEntryUnsealed: the entry was written less than a second ago.
            AccessEntryDamaged: the entry was changed after it was sealed.
            AuditLogDamaged: the tree was changed.
        """
        reads = self._database.reads
        row = await reads.fetchrow(
            QUERIES["entry"],
            principal.account_id,
            principal.created_at,
            entry_id,
            MAX_CONTENT_BYTES,
        )
        if row is None:
            raise AccessEntryNotFound
        decode_read(entry_id, row["content"])
        if row["index"] is None:
            raise AccessEntryUnsealed(retry_after_seconds=1)
        if hash_leaf(row["content"]) != row["hash"]:
            raise AccessEntryDamaged
        # It is stored with the leaf or later, so it contains the leaf.
        checkpoint = await reads.fetchrow(QUERIES["checkpoint"])
        try:
            path = await _build_valid_path(reads, row, checkpoint)
        except (TreeDamaged, InvalidProof) as error:
            raise AuditLogDamaged from error
        return AccessProofView(
            entry=row["content"].decode(),
            index=row["index"],
            path=_encode_path(path),
            checkpoint=checkpoint["note"],
        )

    async def prove_consistency(self, old_size: int) -> ConsistencyProofView:
        """Return the proof that the newest log begins with its first *old_size* entries.

        Raises:
            InvalidRequest: the log never had this size.
            AuditLogDamaged: the tree was changed.
        """
        reads = self._database.reads
        checkpoint = await reads.fetchrow(QUERIES["checkpoint"])
        if checkpoint is None or not 1 <= old_size <= checkpoint["size"]:
            raise InvalidRequest.for_field(
                "from", "the log never had this size", "unknown_size", location="query"
            )
        try:
            path = await build_consistency_path(reads, old_size, checkpoint["size"])
        except TreeDamaged as error:
            raise AuditLogDamaged from error
        return ConsistencyProofView(
            old_size=old_size, path=_encode_path(path), checkpoint=checkpoint["note"]
        )

    async def fetch_checkpoint(self) -> str:
        """Return the newest checkpoint, a signed note.

        Raises:
            CheckpointNotFound: nothing is sealed yet.
        """
        checkpoint = await self._database.reads.fetchrow(QUERIES["checkpoint"])
        if checkpoint is None:
            raise CheckpointNotFound
        note: str = checkpoint["note"]
        return note

    def list_keys(self) -> VerifierKeysView:
        """Return the public keys that verify checkpoints."""
        current = self._keys.note_signer.verifier.vkey
        return VerifierKeysView(
            keys=[
                VerifierKeyView(vkey=one.vkey, is_current=one.vkey == current)
                for one in self._keys.note_verifiers
            ]
        )


async def _build_valid_path(reads: Any, leaf: Any, checkpoint: Any) -> Sequence[bytes]:
    """Return the path of *leaf*, after a check that it leads to the root of *checkpoint*."""
    if checkpoint is None or not 0 <= leaf["index"] < checkpoint["size"]:
        raise TreeDamaged("the checkpoint does not contain the leaf")
    path = await build_inclusion_path(reads, leaf["index"], checkpoint["size"])
    root = root_from_inclusion(leaf["index"], checkpoint["size"], leaf["hash"], path)
    if root != checkpoint["root"]:
        raise TreeDamaged("the path does not lead to the root")
    return path


def _encode_path(path: Sequence[bytes]) -> str:
    return base64.b64encode(b"".join(path)).decode()

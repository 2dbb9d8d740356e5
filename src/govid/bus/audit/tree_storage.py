"""Reads the stored tree: hashes of complete subtrees, roots and proofs, a few rows each.

A complete subtree is stored with its last leaf (`Subtree.last_leaf`), so each hash is one row of
`audit.leaf` by its primary key.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from govid.bus.audit.merkle import (
    EMPTY_ROOT,
    HASH_BYTES,
    Subtree,
    TreeAccumulator,
    consistency_ranges,
    decompose,
    inclusion_ranges,
    join_roots,
)
from govid.bus.storage.sql import load_statements

QUERIES = load_statements("govid.bus.audit", "tree_storage.sql")


class TreeDamaged(Exception):
    """A hash of the stored tree is missing."""


async def load_accumulator(connection: Any, size: int) -> TreeAccumulator:
    """Return the accumulator of the first *size* leaves, to append further ones.

    Raises:
        TreeDamaged: a row is missing.
    """
    subtrees = decompose(0, size)
    hashes = await _fetch_hashes(connection, subtrees)
    return TreeAccumulator(size, [hashes[one] for one in subtrees])


async def compute_root(connection: Any, size: int) -> bytes:
    """Return the root of the first *size* leaves, from the stored subtrees.

    Raises:
        TreeDamaged: a row is missing.
    """
    return (await _compute_roots(connection, [(0, size)]))[0] if size else EMPTY_ROOT


async def build_inclusion_path(connection: Any, index: int, size: int) -> Sequence[bytes]:
    """Return the proof that leaf *index* is in the tree of *size* leaves (RFC 9162, 2.1.3).

    Raises:
        TreeDamaged: a row is missing.
    """
    return await _compute_roots(connection, inclusion_ranges(index, size))


async def build_consistency_path(connection: Any, old_size: int, size: int) -> Sequence[bytes]:
    """Return the proof that the tree of *size* leaves begins with that of *old_size*.

    Raises:
        TreeDamaged: a row is missing.
    """
    return await _compute_roots(connection, consistency_ranges(old_size, size))


async def _compute_roots(connection: Any, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
    """Return the root of each range of leaves, `(first, end)`; all rows are read at once."""
    parts = [decompose(first, end) for first, end in ranges]
    hashes = await _fetch_hashes(connection, [one for part in parts for one in part])
    return [join_roots([hashes[one] for one in part]) for part in parts]


async def _fetch_hashes(connection: Any, subtrees: Collection[Subtree]) -> Mapping[Subtree, bytes]:
    rows = await connection.fetch(QUERIES["leaves"], [one.last_leaf for one in subtrees])
    stored = {row["index"]: row for row in rows}
    return {one: _find_hash(stored.get(one.last_leaf), one.level) for one in subtrees}


def _find_hash(row: Any, level: int) -> bytes:
    if row is None:
        raise TreeDamaged("a leaf is missing")
    if level == 0:
        found: bytes = row["hash"]
    else:
        found = (row["nodes"] or b"")[HASH_BYTES * (level - 1) : HASH_BYTES * level]
    if len(found) != HASH_BYTES:
        raise TreeDamaged("the hash of a subtree is missing")
    return found

"""Hashes Merkle trees as RFC 6962 does, and checks proofs. Nothing here reads a database.

A tree of any size consists of complete subtrees, whose sizes are powers of two. A proof is a list
of roots of ranges of leaves, each of which again consists of complete subtrees.

Source: RFC 9162, section 2.1 (the hashes are those of RFC 6962).
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()

LeafRange = tuple[int, int]
"""The leaves from the first index to before the second."""


class InvalidProof(ValueError):
    """The proof does not show what it claims."""


class Subtree(NamedTuple):
    """The complete subtree of `2**level` leaves that begins at leaf `place * 2**level`."""

    level: int
    place: int

    @property
    def last_leaf(self) -> int:
        """The index of its last leaf."""
        return ((self.place + 1) << self.level) - 1


def hash_leaf(data: bytes) -> bytes:
    """Return the hash of a leaf with the content *data*."""
    return sha256(b"\x00" + data).digest()


def hash_children(left: bytes, right: bytes) -> bytes:
    """Return the hash of the node above the nodes *left* and *right*."""
    return sha256(b"\x01" + left + right).digest()


def count_ended_subtrees(index: int) -> int:
    """Return how many complete subtrees of two or more leaves end with leaf *index*."""
    return (~index & (index + 1)).bit_length() - 1


def decompose(first: int, end: int) -> list[Subtree]:
    """Return the complete subtrees of the leaves from *first* to before *end*, left to right.

    *first* must be a multiple of the largest power of two that fits, as in every proof.
    """
    subtrees = []
    while first < end:
        level = (end - first).bit_length() - 1
        subtrees.append(Subtree(level, first >> level))
        first += 1 << level
    return subtrees


def join_roots(hashes: Sequence[bytes]) -> bytes:
    """Return the root above complete subtrees with *hashes*, left to right."""
    if not hashes:
        return EMPTY_ROOT
    root = hashes[-1]
    for left in reversed(hashes[:-1]):
        root = hash_children(left, root)
    return root


def inclusion_ranges(index: int, size: int) -> list[LeafRange]:
    """Return the ranges whose roots prove leaf *index* in a tree of *size*, lowest first.

    Source: RFC 9162, section 2.1.3.1.
    """
    first, end, ranges = 0, size, []
    while end - first > 1:
        split = first + _left_size(end - first)
        if index < split:
            ranges.append((split, end))
            end = split
        else:
            ranges.append((first, split))
            first = split
    return ranges[::-1]


def consistency_ranges(old_size: int, size: int) -> list[LeafRange]:
    """Return the ranges whose roots prove that a tree of *size* begins with that of *old_size*.

    Source: RFC 9162, section 2.1.4.1.
    """
    if not 0 < old_size < size:
        return []
    first, end, ranges = 0, size, []
    while old_size != end:
        split = first + _left_size(end - first)
        if old_size <= split:
            ranges.append((split, end))
            end = split
        else:
            ranges.append((first, split))
            first = split
    if first:
        ranges.append((first, end))
    return ranges[::-1]


def root_from_inclusion(index: int, size: int, leaf_hash: bytes, path: Sequence[bytes]) -> bytes:
    """Return the root of the tree of *size* that *path* leads to from leaf *index*.

    Raises:
        InvalidProof: the index is outside the tree, or the path has another length.
    """
    if not 0 <= index < size or len(path) != len(inclusion_ranges(index, size)):
        raise InvalidProof("the path does not fit the tree")
    root = leaf_hash
    for (first, _), sibling in zip(inclusion_ranges(index, size), path, strict=True):
        root = hash_children(sibling, root) if first < index else hash_children(root, sibling)
    return root


def verify_consistency(
    old_size: int, old_root: bytes, size: int, root: bytes, path: Sequence[bytes]
) -> None:
    """Check that the tree of *size* begins with the tree of *old_size*.

    Raises:
        InvalidProof: it does not, or *path* does not prove it.
    """
    ranges = consistency_ranges(old_size, size)
    if not 0 <= old_size <= size or len(path) != len(ranges):
        raise InvalidProof("the path does not fit the trees")
    if not ranges:
        # A tree begins with the empty one, and with itself.
        if old_root != (EMPTY_ROOT if old_size == 0 else root):
            raise InvalidProof("the roots differ")
        return
    # The old tree is its own first node if it is complete; then the path leaves that node out.
    is_complete = old_size & (old_size - 1) == 0
    old, new = (old_root, old_root) if is_complete else (path[0], path[0])
    rest = list(zip(ranges, path, strict=True))[0 if is_complete else 1 :]
    for (first, _), sibling in rest:
        if first < old_size:
            old, new = hash_children(sibling, old), hash_children(sibling, new)
        else:
            new = hash_children(new, sibling)
    if (old, new) != (old_root, root):
        raise InvalidProof("the path does not lead to the roots")


class TreeAccumulator:
    """The complete subtrees of a growing tree: enough to append leaves and to compute the root."""

    def __init__(self, size: int = 0, subtree_hashes: Sequence[bytes] = ()) -> None:
        """Continue a tree of *size* leaves, whose subtrees (`decompose`) have *subtree_hashes*."""
        self.size = size
        self._hashes = list(subtree_hashes)

    def append(self, leaf_hash: bytes) -> list[bytes]:
        """Append a leaf; return the hashes of the subtrees it completes, from level 1 upwards."""
        hashes, index, completed, node = self._hashes, self.size, [], leaf_hash
        while index & 1:
            node = sha256(b"\x01" + hashes.pop() + node).digest()
            completed.append(node)
            index >>= 1
        hashes.append(node)
        self.size += 1
        return completed

    @property
    def root(self) -> bytes:
        """The root of all leaves so far."""
        return join_roots(self._hashes)


def _left_size(size: int) -> int:
    """Return the largest power of two below *size*."""
    return 1 << ((size - 1).bit_length() - 1)

"""The tree against RFC 6962's definition, computed naively."""

import pytest

from govid.bus.audit.merkle import (
    EMPTY_ROOT,
    InvalidProof,
    TreeAccumulator,
    consistency_ranges,
    hash_children,
    hash_leaf,
    inclusion_ranges,
    root_from_inclusion,
    verify_consistency,
)

INPUTS = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
LEAVES = [hash_leaf(bytes([number])) for number in range(65)]


def naive_root(leaves: list[bytes]) -> bytes:
    """Return the root as RFC 6962, section 2.1, defines it."""
    if len(leaves) < 2:
        return leaves[0] if leaves else EMPTY_ROOT
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hash_children(naive_root(leaves[:split]), naive_root(leaves[split:]))


def grow(leaves: list[bytes]) -> bytes:
    tree = TreeAccumulator()
    for leaf in leaves:
        tree.append(leaf)
    return tree.root


ROOTS = [naive_root(LEAVES[:size]) for size in range(66)]


def test_the_root_of_eight_leaves_is_that_of_certificate_transparency() -> None:
    assert grow([hash_leaf(one) for one in INPUTS]).hex() == (
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
    )


@pytest.mark.parametrize("size", range(66))
def test_each_root_and_each_inclusion_proof_is_that_of_the_definition(size: int) -> None:
    assert grow(LEAVES[:size]) == ROOTS[size]
    found = {
        root_from_inclusion(
            index,
            size,
            LEAVES[index],
            [naive_root(LEAVES[first:end]) for first, end in inclusion_ranges(index, size)],
        )
        for index in range(size)
    }
    assert found == ({ROOTS[size]} if size else set())


@pytest.mark.parametrize("size", range(1, 66))
def test_each_consistency_proof_holds_for_its_own_root_only(size: int) -> None:
    for old in range(size + 1):
        path = [naive_root(LEAVES[first:end]) for first, end in consistency_ranges(old, size)]
        verify_consistency(old, ROOTS[old], size, ROOTS[size], path)
        with pytest.raises(InvalidProof):
            verify_consistency(old, b"x" * 32, size, ROOTS[size], path)


@pytest.mark.parametrize(("index", "size"), [(-1, 5), (5, 5), (2, 9)])
def test_a_path_that_does_not_fit_is_refused(index: int, size: int) -> None:
    with pytest.raises(InvalidProof):
        root_from_inclusion(index, size, LEAVES[0], [LEAVES[1]] * 3)

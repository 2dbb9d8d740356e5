"""Every migration says which releases still run after it, and the sentences about that."""

import re
from pathlib import Path

import pytest

from govid.gateway.schema_version import SchemaVersion, head_revision, migrations_folder

FIRST = 20
"""The migration that brought `compatible_from`; see migrations/env.py."""
SCRIPTS = sorted((migrations_folder() / "versions").glob("*.py"))


def numbers(script: Path) -> list[tuple[int, int]]:
    """Return the number of *script* and its `compatible_from`, as it declares them."""
    text = script.read_text("utf-8")
    declared = re.findall(r"^compatible_from = (\d+)$", text, re.MULTILINE)
    return [(int(script.name[:4]), int(number)) for number in declared]


@pytest.mark.parametrize(
    "script", [one for one in SCRIPTS if int(one.name[:4]) >= FIRST], ids=lambda one: one.name
)
def test_c10_a_migration_says_which_releases_run_after_it(script: Path) -> None:
    # migrations/env.py says what to write.
    [(number, compatible_from)] = numbers(script)
    assert FIRST <= compatible_from <= number


def test_c10_the_number_never_goes_down() -> None:
    declared = [number for script in SCRIPTS for _, number in numbers(script)]
    assert declared == sorted(declared)


@pytest.mark.parametrize(
    ("ahead", "compatible_from", "state"),
    [
        (0, 0, "fits"),
        (1, 0, "fits"),
        (9, 0, "fits"),
        (1, 1, "ahead"),
        (9, 3, "ahead"),
        (1, None, "ahead"),
        (-1, -1, "behind"),
        (-1, None, "behind"),
    ],
)
def test_c10_a_schema_fits_by_its_number_and_what_it_says(
    ahead: int, compatible_from: int | None, state: str
) -> None:
    release = int(head_revision())
    version = SchemaVersion(
        revision=f"{release + ahead:04d}",
        compatible_from=None if compatible_from is None else release + compatible_from,
    )
    assert version.state == state


def test_c10_a_schema_that_does_not_fit_is_named_with_what_it_needs() -> None:
    version = SchemaVersion(revision="9999", compatible_from=9998)
    assert version.explain_mismatch() == (
        "the database is newer than this release (schema 9999, needs release 9998): use that "
        "release or a later one"
    )


def test_c10_a_database_without_a_schema_is_behind() -> None:
    assert SchemaVersion(revision=None).explain_mismatch() == (
        f"the database is at migration none, not at {head_revision()}: `govid migrate`"
    )

"""The states of an account: permanent values, written as text in one place only."""

import ast
from pathlib import Path

import govid
from govid.bus.shared.contract import UNVERIFIED, AccountStatus

ENUM = Path("bus/shared/contract.py")
UNAMBIGUOUS = {AccountStatus.PENDING.value, AccountStatus.FAILED.value}
"""Other values are common words, which circuit breakers and audit events use too."""


def test_the_values_are_those_of_the_contract_and_of_the_table() -> None:
    assert [status.value for status in AccountStatus] == [
        "pending_verification",
        "verified",
        "verification_failed",
        "registered",
        "blocked",
        "closed",
    ]


def test_an_unverified_account_waits_or_has_failed() -> None:
    assert UNVERIFIED == ("pending_verification", "verification_failed")


def test_no_other_file_spells_a_state() -> None:
    package = Path(govid.__file__).parent
    spelled = {
        path.relative_to(package)
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and node.value in UNAMBIGUOUS
    }
    assert spelled == {ENUM}

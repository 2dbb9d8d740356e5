"""The catalogue of attacks is true: each attack has a proof that exists, or a reason."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (Path(__file__).parent / "README.md").read_text("utf-8")
ROWS = [
    tuple(cell.strip() for cell in line.strip("|").rsplit("|", 1))
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith("| attack ")
]
PROOFS = sorted({proof for _, proofs in ROWS for proof in re.findall(r"[\w/]+\.py[\w:]*", proofs)})


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_each_attack_has_a_proof_or_a_reason(row: tuple[str, str]) -> None:
    assert re.fullmatch(r"later: .{10,}|[\w/]+\.py[\w:]*(, [\w/]+\.py[\w:]*)*", row[1])


@pytest.mark.parametrize("proof", PROOFS)
def test_each_proof_exists(proof: str) -> None:
    path, *names = proof.split("::")
    scope: ast.AST = ast.parse((ROOT / path).read_text("utf-8"))
    for name in names:
        scope = next(node for node in ast.walk(scope) if getattr(node, "name", None) == name)
    assert isinstance(scope, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef)

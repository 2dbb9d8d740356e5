"""The runbook: an alarm that leads nowhere is worse than none."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
RUNBOOK = (DOCS / "runbook.md").read_text("utf-8")
HEADINGS = {
    re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-")
    for heading in re.findall(r"^## (.+)$", RUNBOOK, re.MULTILINE)
}
ALARMS = {
    name: (expression, anchor)
    for name, expression, anchor in re.findall(
        r"^\| ([A-Z][A-Za-z]+) \| (.+?) \| \[.+?\]\(#([a-z-]+)\) \|$", RUNBOOK, re.MULTILINE
    )
}
METRICS = set(
    re.findall(r"^\| `(govid_\w+)`", (DOCS / "metrics.md").read_text("utf-8"), re.MULTILINE)
)


def test_the_alarms_are_found() -> None:
    assert {"OutboxTooOld", "KafkaOutage", "ParkedKeys", "DeadLetters"} < ALARMS.keys()


@pytest.mark.parametrize("name", ALARMS)
def test_each_alarm_has_its_paragraph_and_looks_at_metrics_that_are_there(name: str) -> None:
    expression, anchor = ALARMS[name]
    assert anchor in HEADINGS
    assert set(re.findall(r"govid_\w+", expression)) <= METRICS


def test_each_link_within_the_runbook_leads_somewhere() -> None:
    assert set(re.findall(r"\]\(#([a-z-]+)\)", RUNBOOK)) <= HEADINGS

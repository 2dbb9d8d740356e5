"""The start panel of `govid dev`: addresses of what runs, and commands to try next."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import ClassVar

import click

from govid.bus.shared.privacy import RedactedStruct

WIDTH = 80
"""Maximum length of a line, unless an address is longer."""
NAME_WIDTH = 10


class StartPanel(RedactedStruct, frozen=True, kw_only=True):
    """The panel as one object (`govid dev --json`). `ready_seconds` counts from the command."""

    version: str
    ready_seconds: float
    service: str
    api_docs: str
    openapi: str
    health: str
    jwks: str
    inbox: str | None = None
    """URL of the page with the emails of the demonstration."""
    postgres: str
    postgres_version: str
    postgres_embedded: bool
    kafka: str
    kafka_in_memory: bool
    state_file: str
    sign_in: Sequence[str] = ()
    """Email addresses of accounts; their common password is in `state_file`."""
    death_notification_for: str | None = None
    death_notification_at: datetime | None = None

    repr_members: ClassVar[tuple[str, ...]] = ("service",)


def render_panel(panel: StartPanel, password: str, command: str = "govid") -> str:
    """Return the panel for a terminal; *command* is the command by which the program was called."""
    kind = "embedded" if panel.postgres_embedded else "yours"
    kafka = (
        f"{panel.kafka} (in memory: not a durable broker)"
        if panel.kafka_in_memory
        else f"{panel.kafka} (yours)"
    )
    lines: list[tuple[str, str]] = [
        ("", ""),
        (
            f"govid {panel.version}",
            f"DEMONSTRATION, do not expose      ready in {panel.ready_seconds:.1f} s",
        ),
        (" Service", panel.service),
        *_wrap(
            " API docs",
            "   ",
            (panel.api_docs, f"OpenAPI {panel.openapi}", f"Health {panel.health}"),
        ),
        *([(" Mail", panel.inbox)] if panel.inbox else []),
        *_wrap(" Postgres", " ", (panel.postgres, f"({panel.postgres_version}, {kind})")),
        *_wrap(" Kafka", " ", kafka.split()),
    ]
    if panel.sign_in:
        lines += [
            *_wrap(" Sign in", "  ", panel.sign_in),
            *_wrap("", "   ", (f"password {password}", f"({panel.state_file})")),
        ]
    if panel.death_notification_at is not None:
        clock = panel.death_notification_at.astimezone().strftime("%H:%M:%S")
        death = f"HMRC's simulator sends a death notification for {panel.death_notification_for}"
        soon = f"{death} at {clock} (SIMULATE_DEATH_EVENT=false: never)"
        lines += _wrap(" Soon", " ", soon.split())
    lines += [
        *_wrap(
            " Next",
            "   ",
            (f"{command} events tail", f"{command} demo all", f"{command} outbox status"),
        ),
        (" Stop", "Ctrl-C"),
        ("", ""),
    ]
    head, *rest = (
        f"{click.style(name.ljust(NAME_WIDTH), bold=True)} {text}".rstrip() for name, text in lines
    )
    return "\n".join((head, *rest))


def _wrap(name: str, gap: str, items: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield lines of *items*, as many in each as fit, with *name* before the first line."""
    line = ""
    for item in items:
        if line and NAME_WIDTH + 1 + len(line) + len(gap) + len(item) > WIDTH:
            yield name, line
            name, line = "", ""
        line += f"{gap}{item}" if line else item
    yield name, line

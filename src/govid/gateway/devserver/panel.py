"""What `govid dev` shows once it is ready: what runs where, and what to try next."""

from collections.abc import Sequence
from datetime import datetime

import click
import msgspec


class Panel(msgspec.Struct, frozen=True, kw_only=True):
    """The panel as one object (`govid dev --json`). `ready_seconds` counts from the command."""

    version: str
    ready_seconds: float
    service: str
    api_docs: str
    openapi: str
    health: str
    jwks: str
    inbox: str | None = None
    """Where the mail can be read that govid would have sent."""
    postgres: str
    postgres_version: str
    postgres_embedded: bool
    kafka: str
    kafka_in_memory: bool
    state_file: str
    sign_in: Sequence[str] = ()
    """Addresses; the password of all of them is in `state_file`."""
    death_notification_for: str | None = None
    death_notification_at: datetime | None = None

    def __repr__(self) -> str:
        """Name the service only: a database's URL may hold a password (I9)."""
        return f"<Panel {self.service}>"


def render(panel: Panel, password: str, command: str = "govid") -> str:
    """Return the panel for a terminal; *command* is how this program was called."""
    kind = "embedded" if panel.postgres_embedded else "yours"
    kafka = (
        f"{panel.kafka} (in memory: not a durable broker)"
        if panel.kafka_in_memory
        else f"{panel.kafka} (yours)"
    )
    lines = [
        ("", ""),
        (
            f"govid {panel.version}",
            f"DEMONSTRATION, do not expose      ready in {panel.ready_seconds:.1f} s",
        ),
        (" Service", panel.service),
        (" API docs", f"{panel.api_docs}   OpenAPI {panel.openapi}   Health {panel.health}"),
        *([(" Mail", panel.inbox)] if panel.inbox else []),
        (" Postgres", f"{panel.postgres} ({panel.postgres_version}, {kind})"),
        (" Kafka", kafka),
    ]
    if panel.sign_in:
        lines += [
            (" Sign in", "  ".join(panel.sign_in)),
            ("", f"password {password}   ({panel.state_file})"),
        ]
    if panel.death_notification_at is not None:
        clock = panel.death_notification_at.astimezone().strftime("%H:%M:%S")
        death = f"HMRC's simulator sends a death notification for {panel.death_notification_for}"
        lines.append((" Soon", f"{death} at {clock} (SIMULATE_DEATH_EVENT=false: never)"))
    lines += [
        (" Next", f"{command} events tail   {command} demo all   {command} outbox status"),
        (" Stop", "Ctrl-C"),
        ("", ""),
    ]
    head, *rest = (
        f"{click.style(name.ljust(10), bold=True)} {text}".rstrip() for name, text in lines
    )
    return "\n".join((head, *rest))

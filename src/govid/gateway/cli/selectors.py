"""The options by which an operator selects events."""

from collections.abc import Callable
from datetime import MAXYEAR, UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

import click

from govid.bus.ids import EPOCH
from govid.bus.selection import Selection

F = TypeVar("F", bound=Callable[..., Any])
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
LONGEST_SECONDS = 100 * 366 * 86_400
LATEST = datetime(MAXYEAR - 1, 12, 31, tzinfo=UTC)
"""Later moments have no counterpart in every time zone."""


class Moment(click.ParamType[datetime]):
    """A time: ISO 8601 (UTC without an offset), or how long ago: `30s`, `15m`, `2h`, `7d`."""

    name = "TIME"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Read *value*."""
        text = str(value)
        if text[-1:] in _UNITS and text[:-1].isdecimal() and len(text) < len("123456789"):
            seconds = int(text[:-1]) * _UNITS[text[-1]]
            # As far back as anything can be: events are no older than the epoch of their ids.
            return max(EPOCH, datetime.now(UTC) - timedelta(seconds=min(seconds, LONGEST_SECONDS)))
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            self.fail(
                f"{text!r} is neither a time (2026-01-31T12:00Z) nor an age (15m)", param, ctx
            )
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return min(max(moment, EPOCH), LATEST)


MOMENT = Moment()


fingerprint_option = click.option(
    "--fingerprint", help="Failures of this cause, as `govid outbox groups` shows it."
)


def selectors(function: F) -> F:
    """Give a command the selectors; `selection` makes a `Selection` of them."""
    options = (
        click.option("--id", "ids", type=click.UUID, multiple=True, help="This event; repeatable."),
        click.option("--key", help="Events of this key, like verification/<account>."),
        click.option("--type", "type_", help="Events of this type."),
        click.option("--topic", help="Events that leave on this topic."),
        click.option("--subscriber", help="Deliveries to this subscriber only."),
        click.option("--since", type=MOMENT, help="Stored then or later: a time, or 15m, 2h, 7d."),
        click.option("--until", type=MOMENT, help="Stored before then."),
    )
    for option in reversed(options):
        function = option(function)
    return function


def selection(
    *,
    ids: tuple[UUID, ...],
    key: str | None,
    type_: str | None,
    topic: str | None,
    subscriber: str | None,
    since: datetime | None,
    until: datetime | None,
) -> Selection:
    """Make a selection of the options' values.

    Raises:
        click.UsageError: the range of time is empty.
    """
    if since is not None and until is not None and since >= until:
        raise click.UsageError("--since must be before --until.")
    return Selection(
        ids=ids, key=key, type=type_, topic=topic, subscriber=subscriber, since=since, until=until
    )


def refuse_everything(chosen: Selection, fingerprint: str | None = None) -> None:
    """Refuse to act on whatever there is, which nobody means who has chosen nothing.

    Raises:
        click.UsageError: nothing was chosen.
    """
    if chosen.is_empty and fingerprint is None:
        raise click.UsageError("Say what you mean: by id, key, type, topic, subscriber or time.")

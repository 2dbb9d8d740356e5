"""Options that select deliveries: by id, key, type, topic, subscriber, fingerprint and time."""

from datetime import MAXYEAR, UTC, datetime, timedelta
from uuid import UUID

import click

from govid.bus.operations.delivery_filter import DeliveryFilter
from govid.bus.shared.ids import EPOCH
from govid.gateway.cli.output import apply_options

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
MAX_AGE_SECONDS = 100 * 366 * 86_400
LATEST = datetime(MAXYEAR - 1, 12, 31, tzinfo=UTC)
"""The latest time accepted. Later ones cannot be represented in every time zone."""


class MomentType(click.ParamType[datetime]):
    """A time: ISO 8601 (UTC if it has no offset), or an age: `30s`, `15m`, `2h`, `7d`."""

    name = "TIME"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Parse *value*; times outside the supported range are moved to its nearest end."""
        text = str(value)
        if text[-1:] in _UNITS and text[:-1].isdecimal() and len(text) < len("123456789"):
            seconds = int(text[:-1]) * _UNITS[text[-1]]
            # Events are never older than the epoch of their ids.
            return max(EPOCH, datetime.now(UTC) - timedelta(seconds=min(seconds, MAX_AGE_SECONDS)))
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            self.fail(
                f"{text!r} is neither a time (2026-01-31T12:00Z) nor an age (15m)", param, ctx
            )
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return min(max(moment, EPOCH), LATEST)


MOMENT = MomentType()


fingerprint_option = click.option(
    "--fingerprint", help="Failures with this fingerprint, as `govid outbox groups` shows it."
)


period_options = apply_options(
    click.option(
        "--since",
        type=MOMENT,
        help="Only events stored at or after this time, or age (15m, 2h, 7d).",
    ),
    click.option("--until", type=MOMENT, help="Only events stored before this time or age."),
)
filter_options = apply_options(
    click.option(
        "--id", "ids", type=click.UUID, multiple=True, help="Only this event; repeatable."
    ),
    click.option("--key", help="Only events with this key, like verification/<account>."),
    click.option("--type", "type_", help="Only events of this type."),
    click.option("--topic", help="Only events published on this topic."),
    click.option("--subscriber", help="Only deliveries to this subscriber."),
    period_options,
)
"""The options that select deliveries; `build_filter` turns their values into a filter."""


def check_period(since: datetime | None, until: datetime | None) -> None:
    """Check the values of `period_options`.

    Raises:
        click.UsageError: the time range is empty.
    """
    if since is not None and until is not None and since >= until:
        raise click.UsageError("--since must be before --until.")


def build_filter(
    *,
    ids: tuple[UUID, ...],
    key: str | None,
    type_: str | None,
    topic: str | None,
    subscriber: str | None,
    since: datetime | None,
    until: datetime | None,
) -> DeliveryFilter:
    """Build a `DeliveryFilter` from the values of the options.

    Raises:
        click.UsageError: the time range is empty.
    """
    check_period(since, until)
    return DeliveryFilter(
        ids=ids, key=key, type=type_, topic=topic, subscriber=subscriber, since=since, until=until
    )


def require_filter(filter_: DeliveryFilter, fingerprint: str | None = None) -> None:
    """Refuse an operator action without any filter, which would act on all deliveries.

    Raises:
        click.UsageError: neither a filter nor a fingerprint was given.
    """
    if filter_.is_empty and fingerprint is None:
        raise click.UsageError(
            "Select deliveries by id, key, type, topic, subscriber, fingerprint or time."
        )

"""The record of what an operator is shown about people, stored before anything is printed."""

from typing import Literal
from uuid import UUID

from govid.bus.clock import SystemClock
from govid.bus.consumers import Subscriptions
from govid.bus.contracts import DataViewed
from govid.bus.ids import uuid7
from govid.bus.storage.errors import DRIVER_ERRORS
from govid.gateway.cli.acting import acts_of, at_head
from govid.gateway.cli.audit import operator
from govid.gateway.cli.errors import CommandError, Unreachable
from govid.gateway.cli.settings import Target

View = Literal["accounts show", "events tail --raw"]


async def record_view(
    place: Target, view: View, *, reason: str = "", account_id: UUID | None = None
) -> None:
    """Store the event `operator.data.viewed`.

    Raises:
        Unreachable: it could not be stored, for whatever reason; nothing may be shown.
    """
    event = DataViewed(
        act_id=uuid7(),
        operator=operator().id or "unknown",
        stated_reason=reason,
        view=view,
        account_id=account_id,
        timestamp=SystemClock().now(),
    )

    async def unchanged() -> DataViewed:
        return event

    try:
        async with at_head(place) as connection:
            # No subscriber wants it, so none has to be known.
            await acts_of(place, connection, Subscriptions()).commit_event(unchanged)
    except (CommandError, *DRIVER_ERRORS) as error:
        raise Unreachable(
            "what is shown of people is recorded first, and the record could not be stored; "
            "nothing is shown.",
            error.format_message()
            if isinstance(error, CommandError)
            else "`govid check` says why.",
        ) from error

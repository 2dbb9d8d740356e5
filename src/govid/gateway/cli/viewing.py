"""Records that an operator views personal data, before anything is printed."""

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
    installation: Target, view: View, *, reason: str = "", account_id: UUID | None = None
) -> None:
    """Store the event `operator.data.viewed`.

    Raises:
        BackendUnreachable: it could not be stored, for any reason; the caller must show nothing.
    """
    event = DataViewed(
        act_id=uuid7(),
        operator=operator().id or "unknown",
        stated_reason=reason,
        view=view,
        account_id=account_id,
        timestamp=SystemClock().now(),
    )

    async def return_event() -> DataViewed:
        return event

    try:
        async with at_head(installation) as connection:
            # The event has no subscriber in process, so no subscriptions are needed.
            await acts_of(installation, connection, Subscriptions()).commit_event(return_event)
    except (CommandError, *DRIVER_ERRORS) as error:
        raise Unreachable(
            "views of personal data must be recorded first, and the record could not be stored; "
            "nothing is shown.",
            error.format_message()
            if isinstance(error, CommandError)
            else "`govid check` shows the reason.",
        ) from error

"""Records that an operator views personal data, before anything is printed."""

from typing import Literal
from uuid import UUID

from govid.bus.clock import SystemClock
from govid.bus.consumers import Subscriptions
from govid.bus.contracts import DataViewed
from govid.bus.ids import uuid7
from govid.bus.storage.errors import DRIVER_ERRORS
from govid.gateway.cli.acting import build_operator_actions, connect_at_current_schema
from govid.gateway.cli.audit import current_operator
from govid.gateway.cli.errors import BackendUnreachable, CommandError
from govid.gateway.cli.settings import Installation

ViewName = Literal["accounts show", "events tail --raw"]


async def record_data_view(
    installation: Installation, view: ViewName, *, reason: str = "", account_id: UUID | None = None
) -> None:
    """Store the event `operator.data.viewed`.

    Raises:
        BackendUnreachable: it could not be stored, for any reason; the caller must show nothing.
    """
    event = DataViewed(
        act_id=uuid7(),
        operator=current_operator().id or "unknown",
        stated_reason=reason,
        view=view,
        account_id=account_id,
        timestamp=SystemClock().now(),
    )

    async def return_event() -> DataViewed:
        return event

    try:
        async with connect_at_current_schema(installation) as connection:
            # The event has no subscriber in process, so no subscriptions are needed.
            await build_operator_actions(installation, connection, Subscriptions()).commit_event(
                return_event
            )
    except (CommandError, *DRIVER_ERRORS) as error:
        raise BackendUnreachable(
            "views of personal data must be recorded first, and the record could not be stored; "
            "nothing is shown.",
            error.format_message()
            if isinstance(error, CommandError)
            else "`govid check` shows the reason.",
        ) from error

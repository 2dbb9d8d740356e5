"""The scenarios of `govid demo`, in the order in which `govid demo all` runs them."""

from collections.abc import Awaitable, Callable, Mapping

from govid.gateway.cli.stage import Stage
from govid.gateway.cli.stories.accounts import death_notification, mismatch, register
from govid.gateway.cli.stories.appointments import appointment
from govid.gateway.cli.stories.outages import outage
from govid.gateway.cli.stories.taxes import tax_record

STORIES: Mapping[str, Callable[[Stage], Awaitable[None]]] = {
    "register": register,
    "mismatch": mismatch,
    "appointment": appointment,
    "tax-record": tax_record,
    "death-notification": death_notification,
    "outage": outage,
}

"""The scenarios of `govid demo`, in the order in which `govid demo all` runs them."""

from collections.abc import Awaitable, Callable, Mapping

from govid.gateway.cli.stage import ScenarioRunner
from govid.gateway.cli.stories.accounts import (
    run_death_notification,
    run_mismatch,
    run_registration,
)
from govid.gateway.cli.stories.appointments import run_appointment
from govid.gateway.cli.stories.outages import run_outage
from govid.gateway.cli.stories.taxes import run_tax_record

SCENARIOS: Mapping[str, Callable[[ScenarioRunner], Awaitable[None]]] = {
    "register": run_registration,
    "mismatch": run_mismatch,
    "appointment": run_appointment,
    "tax-record": run_tax_record,
    "death-notification": run_death_notification,
    "outage": run_outage,
}

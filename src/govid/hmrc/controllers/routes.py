"""All routes of the HMRC module, with the use cases behind them."""

from collections.abc import Sequence
from typing import Any

from litestar import Router
from litestar.di import Provide

from govid.hmrc.consents import TaxConsent
from govid.hmrc.controllers import consent as of_consent
from govid.hmrc.controllers import records as of_records
from govid.hmrc.controllers import taxes as of_taxes
from govid.hmrc.tax_reading import TaxReading
from govid.hmrc.tax_records import TaxFiling

PUBLIC = "the simulated HMRC's page, on which whoever demonstrates plays a test user"


def router(filing: TaxFiling, consent: TaxConsent, reading: TaxReading) -> Router:
    """Return the routes."""
    return Router(
        "/api/hmrc",
        route_handlers=[*of_records.HANDLERS, *of_consent.HANDLERS, *of_taxes.HANDLERS],
        dependencies={
            "filing": Provide(lambda: filing, sync_to_thread=False),
            "consent": Provide(lambda: consent, sync_to_thread=False),
            "reading": Provide(lambda: reading, sync_to_thread=False),
        },
        tags=["hmrc"],
    )


def simulated_pages(path: str, pages: Sequence[Any]) -> Router:
    """Return the simulated HMRC's *pages* below *path*: a browser cannot reach this process."""
    return Router(path, route_handlers=pages, opt={"public": PUBLIC}, include_in_schema=False)

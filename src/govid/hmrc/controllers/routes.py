"""Assembles the routes of the HMRC module, with their use cases."""

from collections.abc import Sequence
from typing import Any

from litestar import Router
from litestar.di import Provide

from govid.hmrc.consents import TaxConsentService
from govid.hmrc.controllers.consent import CONSENT_ROUTES
from govid.hmrc.controllers.records import FILED_RECORD_ROUTES
from govid.hmrc.controllers.taxes import HMRC_RECORD_ROUTES
from govid.hmrc.tax_reading import TaxRecordReader
from govid.hmrc.tax_records import TaxRecordFiling

PUBLIC = "the simulated HMRC's consent page, which a demonstration uses as a test user"


def router(filing: TaxRecordFiling, consent: TaxConsentService, reading: TaxRecordReader) -> Router:
    """Return the routes."""
    return Router(
        "/api/hmrc",
        route_handlers=[*FILED_RECORD_ROUTES, *CONSENT_ROUTES, *HMRC_RECORD_ROUTES],
        dependencies={
            "filing": Provide(lambda: filing, sync_to_thread=False),
            "consent": Provide(lambda: consent, sync_to_thread=False),
            "reading": Provide(lambda: reading, sync_to_thread=False),
        },
        tags=["hmrc"],
    )


def simulated_pages(path: str, pages: Sequence[Any]) -> Router:
    """Serve the *pages* of an in-process HMRC below *path*, where a browser can reach them."""
    return Router(path, route_handlers=pages, opt={"public": PUBLIC}, include_in_schema=False)

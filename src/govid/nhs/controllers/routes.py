"""All routes of the NHS module, with the use cases behind them."""

from litestar import Router
from litestar.di import Provide

from govid.nhs.appointments import AppointmentDesk
from govid.nhs.bookings import BookingDesk
from govid.nhs.controllers import bookings as of_bookings
from govid.nhs.controllers import requests as of_requests
from govid.nhs.openings import Openings
from govid.nhs.patients import PatientFiling
from govid.nhs.quotas import AccountQuotas


def router(
    filing: PatientFiling,
    desk: AppointmentDesk,
    openings: Openings,
    bookings: BookingDesk,
    quotas: AccountQuotas,
) -> Router:
    """Return the routes."""
    return Router(
        "/api/nhs",
        route_handlers=[*of_requests.HANDLERS, *of_bookings.HANDLERS],
        dependencies={
            "filing": Provide(lambda: filing, sync_to_thread=False),
            "desk": Provide(lambda: desk, sync_to_thread=False),
            "openings": Provide(lambda: openings, sync_to_thread=False),
            "bookings": Provide(lambda: bookings, sync_to_thread=False),
            "quotas": Provide(lambda: quotas, sync_to_thread=False),
        },
        tags=["nhs"],
    )

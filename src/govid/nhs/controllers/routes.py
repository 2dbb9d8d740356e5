"""Builds the router of the NHS module with its dependencies."""

from litestar import Router
from litestar.di import Provide

from govid.nhs.appointments import AppointmentDesk
from govid.nhs.bookings import BookingDesk
from govid.nhs.controllers.bookings import BOOKING_ROUTES
from govid.nhs.controllers.requests import RECORD_AND_REQUEST_ROUTES
from govid.nhs.openings import Openings
from govid.nhs.patients import PatientFiling
from govid.nhs.quotas import AccountQuotas


def router(
    patient_records: PatientFiling,
    requests: AppointmentDesk,
    availability: Openings,
    bookings: BookingDesk,
    quotas: AccountQuotas,
) -> Router:
    """Return the router of `/api/nhs`; its handlers receive the use cases as dependencies."""
    return Router(
        "/api/nhs",
        route_handlers=[*RECORD_AND_REQUEST_ROUTES, *BOOKING_ROUTES],
        dependencies={
            "patient_records": Provide(lambda: patient_records, sync_to_thread=False),
            "requests": Provide(lambda: requests, sync_to_thread=False),
            "availability": Provide(lambda: availability, sync_to_thread=False),
            "bookings": Provide(lambda: bookings, sync_to_thread=False),
            "quotas": Provide(lambda: quotas, sync_to_thread=False),
        },
        tags=["nhs"],
    )

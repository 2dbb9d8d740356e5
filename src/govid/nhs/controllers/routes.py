"""Builds the router of the NHS module with its dependencies."""

from litestar import Router
from litestar.di import Provide

from govid.nhs.appointments import AppointmentRequests
from govid.nhs.bookings import AppointmentBookings
from govid.nhs.controllers.bookings import BOOKING_ROUTES
from govid.nhs.controllers.requests import RECORD_AND_REQUEST_ROUTES
from govid.nhs.openings import SlotAvailability
from govid.nhs.patients import PatientRecords
from govid.nhs.quotas import AccountQuotas


def router(
    patient_records: PatientRecords,
    requests: AppointmentRequests,
    availability: SlotAvailability,
    bookings: AppointmentBookings,
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

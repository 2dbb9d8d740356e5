"""Examples for the OpenAPI document. The people are test patients that the NHS publishes."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from litestar.openapi.spec import Example
from msgspec import structs

from govid.nhs.schemas import AppointmentView, PatientView, SlotView
from govid.nhs.slots import AppointmentStatus

FILE_PATIENT: dict[str, Any] = {
    "name": "Jane Smith",
    "nhsNumber": "943 476 5919",
    "medicalHistory": "Allergic to penicillin",
}
REQUEST_APPOINTMENT: dict[str, Any] = {
    "patient_identifier": "943 476 5919",
    "requested_datetime": "2030-03-04T09:30:00",
    "doctor_specialty": "Cardiology",
    "reason": "Palpitations",
}
BOOK_SLOTS: dict[str, Any] = {
    "specialty": "Cardiology",
    "date": "2030-03-04",
    "slots": ["2000011147-20300304T0930"],
    "patient_identifier": "943 476 5919",
    "reason": "Palpitations",
}
MOVE_APPOINTMENT: dict[str, Any] = {
    "date": "2030-03-05",
    "slots": ["2000011147-20300305T1000", "2000011147-20300305T1015"],
}

_CREATED = datetime(2026, 1, 5, 9, 30, tzinfo=UTC)
_PATIENT = PatientView(
    id=UUID("019b8d3c-5ac0-7e1b-9f4e-2d6a8c0b1e41"),
    patient_id="P12345",
    name="Jane Smith",
    nhs_number="9434765919",
    medical_history="Allergic to penicillin",
)
_APPOINTMENT = AppointmentView(
    appointment_id=UUID("019b8d3c-5ac0-7e1b-9f4e-2d6a8c0b1e42"),
    user_id=UUID("019b8d3c-5ac0-7e1b-9f4e-2d6a8c0b1e37"),
    patient_identifier="943 476 5919",
    requested_datetime=datetime(2030, 3, 4, 9, 30, tzinfo=UTC),
    doctor_specialty="Cardiology",
    reason="Palpitations",
    status=AppointmentStatus.REQUESTED,
    confirmed_datetime=None,
    confirmation_details=None,
    created_at=_CREATED,
    updated_at=_CREATED,
)

PATIENT_REQUESTS = [Example(id="patient", summary="A patient", value=FILE_PATIENT)]
PATIENTS = [Example(id="patient", summary="A filed record", value=_PATIENT)]
PATIENT_LISTS = [Example(id="patients", summary="All of your records", value=[_PATIENT])]
APPOINTMENT_REQUESTS = [
    Example(id="appointment", summary="A time in the United Kingdom", value=REQUEST_APPOINTMENT)
]
APPOINTMENTS = [Example(id="appointment", summary="Not yet decided", value=_APPOINTMENT)]
APPOINTMENT_LISTS = [
    Example(id="appointments", summary="All of your appointments", value=[_APPOINTMENT])
]
_BOOKING = structs.replace(_APPOINTMENT, patient_identifier="9434765919")
_SLOT = SlotView(
    slot_id="2000011147-20300304T0930",
    specialty="Cardiology",
    starts_at=datetime(2030, 3, 4, 9, 30, tzinfo=UTC),
    ends_at=datetime(2030, 3, 4, 9, 45, tzinfo=UTC),
)
SLOT_LISTS = [Example(id="slots", summary="A quarter of an hour", value=[_SLOT])]
BOOKING_REQUESTS = [Example(id="booking", summary="One slot", value=BOOK_SLOTS)]
BOOKINGS = [Example(id="booking", summary="Not yet confirmed", value=_BOOKING)]
MOVE_REQUESTS = [Example(id="move", summary="Half an hour on another day", value=MOVE_APPOINTMENT)]
CANCELLATIONS = [
    Example(
        id="cancelled",
        summary="Cancelled",
        value=structs.replace(_BOOKING, status=AppointmentStatus.CANCELLED),
    )
]

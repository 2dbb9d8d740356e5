"""Examples for the API's documents. The people are published test patients."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from litestar.openapi.spec import Example

from govid.nhs.decision import AppointmentStatus
from govid.nhs.schemas import AppointmentView, PatientView

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

_BORN = datetime(2026, 1, 5, 9, 30, tzinfo=UTC)
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
    created_at=_BORN,
    updated_at=_BORN,
)

PATIENT_REQUESTS = [Example(id="patient", summary="A patient", value=FILE_PATIENT)]
PATIENTS = [Example(id="patient", summary="As it is filed", value=_PATIENT)]
PATIENT_LISTS = [Example(id="patients", summary="All of yours", value=[_PATIENT])]
APPOINTMENT_REQUESTS = [
    Example(id="appointment", summary="A time in the United Kingdom", value=REQUEST_APPOINTMENT)
]
APPOINTMENTS = [Example(id="appointment", summary="Not yet decided", value=_APPOINTMENT)]

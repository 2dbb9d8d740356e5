"""The examples of the documents are what the routes take."""

import msgspec

from govid.bus.events import IdentifierType
from govid.bus.shared.identifiers import normalise_identifier
from govid.nhs import openapi_examples, schemas


def test_the_documented_patient_is_a_valid_request() -> None:
    record = msgspec.convert(openapi_examples.FILE_PATIENT, schemas.FilePatient)
    number = normalise_identifier(IdentifierType.NHS, record.nhs_number, accept_prototype_nhs=False)
    assert number == "9434765919"


def test_the_documented_appointment_request_is_a_valid_request() -> None:
    appointment_request = msgspec.convert(
        openapi_examples.REQUEST_APPOINTMENT, schemas.RequestAppointment
    )
    assert appointment_request.requested_at.isoformat() == "2030-03-04T09:30:00+00:00"


def test_the_documented_bookings_are_valid_requests() -> None:
    booking = msgspec.convert(openapi_examples.BOOK_SLOTS, schemas.BookSlots)
    move = msgspec.convert(openapi_examples.MOVE_APPOINTMENT, schemas.MoveAppointment)
    assert (len(booking.slots), len(move.slots)) == (1, 2)

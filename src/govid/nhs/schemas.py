"""Request and response bodies. Their names are the API contract; no repr shows values (I9)."""

from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct, field
from msgspec.structs import force_setattr

from govid.bus import FieldFault, InvalidRequest, Personal
from govid.bus.shared.plain_text import is_plain_line, is_plain_text, replace_control_characters
from govid.bus.shared.privacy import RedactedStruct
from govid.nhs.slots import AppointmentStatus, parse_time

Name = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"\S")]
Line = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"\S")]
Note = Annotated[str, Meta(max_length=10_000)]
SlotId = Annotated[str, Meta(max_length=64, pattern=r"^[A-Za-z0-9.-]+$")]
RecordSource = Literal["self-declared", "registry"]
LINE_FAULT = "must be one line without control characters or text direction marks"
TEXT_FAULT = (
    "must not contain control characters, except line feeds and tabs, or text direction marks"
)
_SENT_AS = {"nhs_number": "nhsNumber", "medical_history": "medicalHistory"}
Slots = Annotated[tuple[SlotId, ...], Meta(min_length=1, max_length=4)]


class _Silent(RedactedStruct, frozen=True, kw_only=True):
    """Base of structs whose repr shows no personal data."""


def _require_plain_text(request: Struct, lines: Sequence[str], texts: Sequence[str] = ()) -> None:
    """Require plain text: in *lines* a single line, in *texts* several.

    Raises:
        InvalidRequest: a field contains control characters; all such fields are listed.
    """
    faults = [
        *(
            _field_error(name, LINE_FAULT)
            for name in lines
            if not _satisfies(is_plain_line, request, name)
        ),
        *(
            _field_error(name, TEXT_FAULT)
            for name in texts
            if not _satisfies(is_plain_text, request, name)
        ),
    ]
    if faults:
        raise InvalidRequest(
            "; ".join(f"{f.loc[-1]}: {f.msg}" for f in faults), field_problems=tuple(faults)
        )


def _satisfies(rule: Callable[[str], bool], request: Struct, name: str) -> bool:
    value = getattr(request, name)
    return value is None or rule(value)


def _field_error(name: str, msg: str) -> FieldFault:
    return FieldFault(loc=("body", _SENT_AS.get(name, name)), msg=msg, type="control_character")


class FilePatient(_Silent, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """File a patient record. The use case validates the NHS number."""

    name: Personal[Name]
    nhs_number: Personal[Line] = field(name="nhsNumber")
    medical_history: Personal[Note] | None = field(name="medicalHistory", default=None)

    def __post_init__(self) -> None:
        """Refuse control characters."""
        _require_plain_text(self, ["name", "nhs_number"], ["medical_history"])


class PatientView(_Silent, frozen=True, kw_only=True):
    """A patient record, as its account holder sees it."""

    id: UUID
    patient_id: str = field(name="patientId")
    name: Personal[str]
    nhs_number: Personal[str] = field(name="nhsNumber")
    medical_history: Personal[str | None] = field(name="medicalHistory")
    source: Annotated[
        RecordSource, Meta(description="`registry` is the NHS's own record of you.")
    ] = "self-declared"

    def __post_init__(self) -> None:
        """Replace control characters that an older release has stored by U+FFFD."""
        force_setattr(self, "name", replace_control_characters(self.name))
        force_setattr(self, "medical_history", replace_control_characters(self.medical_history))


class RequestAppointment(_Silent, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Request an appointment. A time without an offset is a time in the United Kingdom."""

    patient_identifier: Personal[Line]
    requested_datetime: Annotated[
        str,
        # Not `date-time`: that format requires an offset, and a local time is accepted here.
        Meta(max_length=64, description="ISO 8601; without an offset it is a time in the UK."),
    ]
    doctor_specialty: Personal[Line]
    reason: Personal[Note] | None = None

    def __post_init__(self) -> None:
        """Refuse control characters, and a text that is no point in time."""
        _require_plain_text(self, ["patient_identifier", "doctor_specialty"], ["reason"])
        try:
            parse_time(self.requested_datetime)
        except ValueError as error:
            raise InvalidRequest.for_field("requested_datetime", str(error), "datetime") from error

    @property
    def requested_at(self) -> datetime:
        """Return the requested time in UTC."""
        return parse_time(self.requested_datetime)


class SlotView(Struct, frozen=True, kw_only=True):
    """A time that can be booked."""

    slot_id: str
    specialty: str
    starts_at: datetime
    ends_at: datetime


class _SlotChoice(_Silent, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Slots of one day from `GET /api/nhs/slots`; several must be adjacent."""

    date: date
    slots: Slots

    def __post_init__(self) -> None:
        """Refuse duplicate slots."""
        if len(set(self.slots)) != len(self.slots):
            raise InvalidRequest.for_field("slots", "must not contain a slot twice", "duplicate")


class BookSlots(_SlotChoice, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Book one or several slots."""

    specialty: Personal[Line]
    patient_identifier: Personal[Line]
    reason: Personal[Annotated[str, Meta(max_length=100)]] | None = None

    def __post_init__(self) -> None:
        """Refuse control characters and duplicate slots."""
        _require_plain_text(self, ["specialty", "patient_identifier"], ["reason"])
        super().__post_init__()


class MoveAppointment(_SlotChoice, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Move an appointment to other slots of the same practice."""


class AppointmentView(_Silent, frozen=True, kw_only=True):
    """An appointment, as its account holder sees it. Times are in UTC."""

    appointment_id: UUID
    user_id: UUID
    patient_identifier: Personal[str]
    requested_datetime: datetime
    doctor_specialty: Personal[str]
    reason: Personal[str | None]
    status: AppointmentStatus
    confirmed_datetime: datetime | None
    confirmation_details: Personal[str | None]
    created_at: datetime
    updated_at: datetime

    def __post_init__(self) -> None:
        """Replace control characters that an older release has stored by U+FFFD."""
        for name in ("patient_identifier", "doctor_specialty", "reason", "confirmation_details"):
            force_setattr(self, name, replace_control_characters(getattr(self, name)))

    @property
    def id(self) -> UUID:
        """Return the key that orders a list of appointments."""
        return self.appointment_id


class Versioned(_Silent, frozen=True, kw_only=True):
    """An appointment with its version (sent as `ETag`) and practice (not sent)."""

    view: AppointmentView
    version: int = 1
    service: str | None = None

"""Settings of the NHS module."""

from typing import Literal

import msgspec

from govid.bus.shared.privacy import RedactedStruct


class Practice(msgspec.Struct, frozen=True, kw_only=True):
    """Practice that offers appointments of one specialty."""

    specialty: str
    service: str
    """Its number in the Directory of Services."""
    ods_code: str
    """The code of the organisation that runs it."""


class NhsQuotas(msgspec.Struct, frozen=True, kw_only=True):
    """Quotas and rate limits of one account; 0 means no limit."""

    patient_records: int = 0
    live_appointments: int = 0
    """Requested, or confirmed and still ahead."""
    live_appointments_per_specialty: int = 0
    appointment_changes_per_day: int = 0
    """Bookings, moves and cancellations together."""
    slot_searches_per_minute: int = 0


class NhsSettings(RedactedStruct, frozen=True, kw_only=True):
    """Settings of the NHS module.

    `accept_prototype_nhs` accepts `NHS` and nine digits as an NHS number, a form that only the
    simulator knows. If `registry` is `remote`, `base_url`, `client_id`, `kid` and `private_key` are
    set. If `practices` are given, `ods_code` and `endpoint` are set too.
    """

    registry: Literal["remote", "simulator", "off"]
    accept_prototype_nhs: bool
    base_url: str = ""
    """Base URL of all NHS APIs: `https://int.api.service.nhs.uk`."""
    client_id: str = ""
    kid: str = ""
    private_key: bytes = b""
    """RSA, in PEM."""
    takes_bookings: bool = True
    """Whether appointment requests are accepted, if a practice can decide them."""
    ods_code: str = ""
    """ODS code of the organisation for which govid books."""
    endpoint: str = ""
    """Govid's own number in the Directory of Services, the reply address for practices."""
    practices: tuple[Practice, ...] = ()
    """Practices that accept bookings. The simulated NHS has its own."""
    are_limits_lifted: bool = False
    """Whether client and simulator ignore the NHS's rate limit of five requests a second."""
    may_be_simulated: bool = True
    """Whether an NHS that identifies itself as simulated is accepted."""
    simulator_fault: str = ""
    quotas: NhsQuotas = NhsQuotas()

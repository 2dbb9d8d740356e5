"""What the NHS module can be told."""

from typing import Literal

import msgspec


class Practice(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to ask for appointments of one specialty."""

    specialty: str
    service: str
    """Its number in the Directory of Services."""
    ods: str
    """The code of the organisation that runs it."""


class NhsQuotas(msgspec.Struct, frozen=True, kw_only=True):
    """What one account may store and do; 0 is no limit."""

    patient_records: int = 0
    live_appointments: int = 0
    """Requested, or confirmed and still ahead."""
    live_appointments_per_specialty: int = 0
    appointment_changes_per_day: int = 0
    """Bookings, moves and cancellations together."""
    slot_searches_per_minute: int = 0


class NhsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the NHS module.

    `accept_prototype_form` lets `NHS` and nine digits pass as an NHS number. Only a simulator knows
    that form. With `registry` at `remote`, the four that follow are all set; with `practices`, so
    are `ods` and `endpoint`.
    """

    registry: Literal["remote", "simulator", "off"]
    accept_prototype_form: bool
    base_url: str = ""
    """The host of all of the NHS's interfaces: `https://int.api.service.nhs.uk`."""
    client_id: str = ""
    kid: str = ""
    private_key: bytes = b""
    """RSA, in PEM."""
    takes_bookings: bool = True
    """Whether appointments are taken, if there is somebody to decide about them."""
    ods: str = ""
    """The organisation for which govid books."""
    endpoint: str = ""
    """Govid's own number in the Directory of Services, to which practices would write."""
    practices: tuple[Practice, ...] = ()
    """Who takes bookings, where the NHS is not simulated."""
    are_limits_lifted: bool = False
    """Whether adapter and simulator leave the NHS's five calls a second alone."""
    may_be_simulated: bool = True
    """Whether an NHS that confesses to be simulated is good enough."""
    simulator_fault: str = ""
    quotas: NhsQuotas = NhsQuotas()

    def __repr__(self) -> str:
        """Show nothing: there is a key among them (I11)."""
        return "<NhsSettings>"

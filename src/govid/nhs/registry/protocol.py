"""What govid asks of the NHS."""

from enum import StrEnum
from typing import Protocol

import msgspec

from govid.bus.contracts import AppointmentRequested
from govid.nhs.decision import Decision


class Outcome(StrEnum):
    """What the registry says of a number. `withheld`: it knows, and does not tell."""

    MATCH = "match"
    MISMATCH = "mismatch"
    DECEASED = "deceased"
    WITHHELD = "withheld"


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """A person in the registry's own words; the number may be newer than the one asked about."""

    nhs_number: str
    name: str

    def __repr__(self) -> str:
        """Name the struct only (I9)."""
        return "<Holder>"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """The registry's answer, with the holder of the number where it names one."""

    outcome: Outcome
    holder: Holder | None = None


class PatientRegistry(Protocol):
    """Knows who holds an NHS number."""

    async def verify(self, nhs_number: str) -> Finding:
        """Look *nhs_number* up.

        Raises:
            Outage: the registry is away; nothing is decided.
        """


class AppointmentProvider(Protocol):
    """Decides about appointments."""

    async def book(self, wish: AppointmentRequested) -> Decision:
        """Decide about *wish*. Asked again about the same appointment, it answers the same.

        Raises:
            Outage: the provider is away; nothing is decided.
        """

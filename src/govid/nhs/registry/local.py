"""The NHS, simulated: it answers by the form of a number, always the same.

Well-formed is verified, except for the numbers that the NHS's own sandbox keeps for failures. An
appointment is confirmed for the time that was asked for, unless that time has passed.
"""

from collections.abc import Mapping

from govid.bus import Clock
from govid.bus.contracts import AppointmentRequested, IdentifierType
from govid.bus.contracts.identifiers import normalise
from govid.nhs.decision import AppointmentStatus, Decision
from govid.nhs.local_time import LONDON
from govid.nhs.registry.protocol import Finding, Holder, Outcome

_EXCEPTIONS: Mapping[str, Outcome] = {
    "9111231130": Outcome.MISMATCH,
    "9727194737": Outcome.MISMATCH,
    "9990003343": Outcome.WITHHELD,
    "9000000009": Outcome.DECEASED,
}
"""Published test patients: not found, not found, invalidated, formally dead."""

_NAMES: Mapping[str, str] = {
    "9693632109": "Bill Garton",
    "9732110317": "Adrian Sanderson",
    "9733162043": "Dean Roger Killen",
    "9736363015": "Conrad Landon Mooney",
    "9736363023": "Cyril Gordon Melloy",
    "9736363066": "Randal Gerald Weaver",
    "9736363074": "Arthur Mathew Wilcox",
}
"""Published test patients whose record gives a name."""


class LocalPatientRegistry:
    """A registry in which every well-formed number belongs to whoever gives it."""

    def __init__(self, *, prototype_form: bool) -> None:
        """Know the prototype's form too, with *prototype_form*."""
        self._prototype_form = prototype_form

    async def verify(self, nhs_number: str) -> Finding:
        """Answer by the form of *nhs_number*."""
        try:
            number = normalise(IdentifierType.NHS, nhs_number, prototype_form=self._prototype_form)
        except ValueError:
            return Finding(outcome=Outcome.MISMATCH)
        name = _NAMES.get(number)
        return Finding(
            outcome=_EXCEPTIONS.get(number, Outcome.MATCH),
            holder=None if name is None else Holder(nhs_number=number, name=name),
        )


class LocalAppointmentProvider:
    """A practice that is always open and never full."""

    def __init__(self, clock: Clock) -> None:
        """Tell what has passed by *clock*."""
        self._clock = clock

    async def book(self, wish: AppointmentRequested) -> Decision:
        """Confirm *wish*, unless its time has passed."""
        moment = wish.requested_datetime
        if moment <= self._clock.now():
            return Decision(
                status=AppointmentStatus.REJECTED,
                rejection_reason="The requested time has passed",
            )
        on_the_clock = moment.astimezone(LONDON).strftime("%d %B %Y at %H:%M")
        return Decision(
            status=AppointmentStatus.CONFIRMED,
            confirmed_datetime=moment,
            confirmation_details=f"{wish.doctor_specialty}, {on_the_clock}",
        )

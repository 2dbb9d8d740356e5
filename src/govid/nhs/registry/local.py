"""The NHS without the NHS: it answers by the form of a number, always the same.

Well-formed is verified, except for the numbers that the NHS's own sandbox keeps for failures. An
appointment is confirmed for the time that was asked for, unless that time has passed. Only where
departments are simulated does anybody ask here.
"""

from collections.abc import Mapping

from govid.bus import Clock
from govid.bus.contracts import AppointmentRequested, IdentifierType
from govid.bus.contracts.facts import ClaimedFacts
from govid.bus.shared.identifiers import normalise_identifier
from govid.nhs.decision import AppointmentStatus, Decision
from govid.nhs.local_time import on_the_wall
from govid.nhs.registry.protocol import (
    Claim,
    Evidence,
    Finding,
    Holder,
    Outcome,
    PatientRegistry,
)

_EXCEPTIONS: Mapping[str, Outcome] = {
    "9111231130": Outcome.MISMATCH,
    "9727194737": Outcome.MISMATCH,
    "9990003343": Outcome.MISMATCH,
    "9000000009": Outcome.DECEASED,
}
"""Published test patients: not found, not found, invalidated, formally dead."""

FORM = Evidence(method="form", strength=1, validity=1)
"""A number that looks like one: the least that there is."""

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

    async def verify(self, claim: Claim) -> Finding:
        """Answer by the form of the number; the facts do not matter."""
        try:
            number = normalise_identifier(
                IdentifierType.NHS, claim.nhs_number, prototype_form=self._prototype_form
            )
        except ValueError:
            return Finding(outcome=Outcome.MISMATCH, evidence=FORM)
        name = _NAMES.get(number)
        return Finding(
            outcome=_EXCEPTIONS.get(number, Outcome.MATCH),
            evidence=FORM,
            holder=None if name is None else Holder(nhs_number=number, name=name),
        )

    async def trace(
        self,
        facts: ClaimedFacts,  # noqa: ARG002 - the port's
        correlation_id: str | None = None,  # noqa: ARG002 - the port's
    ) -> Finding:
        """Find nobody: facts have no form that says who somebody is."""
        return Finding(outcome=Outcome.INSUFFICIENT)


class ByFormWithoutFacts:
    """A simulated registry as the contract's examples need it.

    Who says nothing of themselves is verified by the form of their number, as the prototype did.
    So is the prototype's own form, of which no registry knows anything. All others are matched.
    """

    def __init__(self, registry: PatientRegistry, by_form: LocalPatientRegistry) -> None:
        """Ask *registry*, or else *by_form*."""
        self._registry = registry
        self._by_form = by_form

    async def verify(self, claim: Claim) -> Finding:
        """Match who says who they are; look at the others' number only."""
        if claim.facts is None or claim.nhs_number[:1].isalpha():
            return await self._by_form.verify(claim)
        return await self._registry.verify(claim)

    async def trace(self, facts: ClaimedFacts, correlation_id: str | None = None) -> Finding:
        """Find the one person whom *facts* describe."""
        return await self._registry.trace(facts, correlation_id)


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
        return Decision(
            status=AppointmentStatus.CONFIRMED,
            confirmed_datetime=moment,
            confirmation_details=f"{wish.doctor_specialty}, {on_the_wall(moment)}",
        )

"""Local substitute of the NHS, and the clients of an NHS that is switched off.

The substitute decides by the form of a number, without any request. A well-formed number is
verified, except for the numbers that the NHS's sandbox reserves for failures. An appointment is
confirmed for the requested time, unless that time has passed. It is used only if departments are
simulated. With an NHS that is switched off, every request is an outage.
"""

from collections.abc import Mapping

from govid.bus import Clock, Outage
from govid.bus.events import AppointmentRequested, IdentifierType
from govid.bus.shared.identifiers import normalise_identifier
from govid.bus.shared.verification import (
    FORMAT_EVIDENCE,
    IdentityClaim,
    VerificationOutcome,
)
from govid.nhs.clients.interfaces import PatientRegistry, RegisteredPatient, RegistryFinding
from govid.nhs.slots import AppointmentDecision, AppointmentStatus, format_uk_time

_EXCEPTIONS: Mapping[str, VerificationOutcome] = {
    "9111231130": VerificationOutcome.MISMATCH,
    "9727194737": VerificationOutcome.MISMATCH,
    "9990003343": VerificationOutcome.MISMATCH,
    "9000000009": VerificationOutcome.DECEASED,
}
"""Published test patients: not found, not found, invalidated, formally deceased."""

_NAMES: Mapping[str, str] = {
    "9693632109": "Bill Garton",
    "9732110317": "Adrian Sanderson",
    "9733162043": "Dean Roger Killen",
    "9736363015": "Conrad Landon Mooney",
    "9736363023": "Cyril Gordon Melloy",
    "9736363066": "Randal Gerald Weaver",
    "9736363074": "Arthur Mathew Wilcox",
}
"""Names of published test patients."""


class LocalPatientRegistry:
    """Registry that verifies every well-formed number."""

    def __init__(self, *, accept_prototype_nhs: bool) -> None:
        """Accept the prototype's form too, with *accept_prototype_nhs*."""
        self._accept_prototype_nhs = accept_prototype_nhs

    async def verify(self, claim: IdentityClaim) -> RegistryFinding:
        """Decide by the form of the number; facts are ignored."""
        try:
            number = normalise_identifier(
                IdentifierType.NHS,
                claim.number,
                accept_prototype_nhs=self._accept_prototype_nhs,
            )
        except ValueError:
            return RegistryFinding(outcome=VerificationOutcome.MISMATCH, evidence=FORMAT_EVIDENCE)
        name = _NAMES.get(number)
        return RegistryFinding(
            outcome=_EXCEPTIONS.get(number, VerificationOutcome.MATCH),
            evidence=FORMAT_EVIDENCE,
            patient=None if name is None else RegisteredPatient(nhs_number=number, name=name),
        )


class FormatOnlyVerifier:
    """Verifies claims without facts by the form of their number, as the prototype did.

    The examples of the API contract need this. The prototype's own form is also checked by form
    only, because no registry knows it. All other claims go to the simulated registry.
    """

    def __init__(self, registry: PatientRegistry, by_format: LocalPatientRegistry) -> None:
        """Use *registry* for claims with facts, and *by_format* for the others."""
        self._registry = registry
        self._by_format = by_format

    async def verify(self, claim: IdentityClaim) -> RegistryFinding:
        """Match a claim with facts; check any other by the form of its number."""
        if claim.facts is None or claim.number[:1].isalpha():
            return await self._by_format.verify(claim)
        return await self._registry.verify(claim)


class LocalAppointmentProvider:
    """Appointment provider that confirms every future time."""

    def __init__(self, clock: Clock) -> None:
        """Compare requested times with *clock*."""
        self._clock = clock

    async def book(self, request: AppointmentRequested) -> AppointmentDecision:
        """Confirm *request*, unless its time has passed."""
        moment = request.requested_datetime
        if moment <= self._clock.now():
            return AppointmentDecision(
                status=AppointmentStatus.REJECTED,
                rejection_reason="The requested time has passed",
            )
        return AppointmentDecision(
            status=AppointmentStatus.CONFIRMED,
            confirmed_datetime=moment,
            confirmation_details=f"{request.doctor_specialty}, {format_uk_time(moment)}",
        )


class DisabledPatientRegistry:
    """Registry that is always unavailable."""

    async def verify(self, claim: IdentityClaim) -> RegistryFinding:  # noqa: ARG002 - the interface's
        """Return unavailable."""
        return RegistryFinding(outcome=VerificationOutcome.UNAVAILABLE)


class DisabledAppointmentProvider:
    """Appointment provider that is always unavailable."""

    async def book(self, request: AppointmentRequested) -> AppointmentDecision:  # noqa: ARG002 - the interface's
        """Raise an outage."""
        raise Outage("nhs")

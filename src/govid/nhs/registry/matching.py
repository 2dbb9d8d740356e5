"""Matches claimed facts with a record: family name, first given name, date of birth."""

from datetime import date

from govid.bus.contracts.facts import ClaimedFacts
from govid.bus.shared.names import is_same_given_name, is_same_name
from govid.nhs.registry.protocol import VerificationOutcome
from govid.nhs.registry.record import HumanName, PatientResource

_FULL_DATE = len("2010-10-22")


def compare_facts(facts: ClaimedFacts, record: PatientResource) -> VerificationOutcome:
    """Return match, mismatch, or incomplete if the record lacks data.

    The result does not reveal which of the facts differs.
    """
    name = record.usual_name
    if name is None or not (name.family or _given(name)) or not record.birth_date:
        return VerificationOutcome.INCOMPLETE
    if not (
        _has_name(facts, name) and facts.date_of_birth.isoformat().startswith(record.birth_date)
    ):
        return VerificationOutcome.MISMATCH
    if len(record.birth_date) < _FULL_DATE:
        return VerificationOutcome.INCOMPLETE
    return VerificationOutcome.MATCH


def exact_birth_date(record: PatientResource) -> date | None:
    """Return the date of birth if it is recorded to the day."""
    try:
        return date.fromisoformat(record.birth_date or "")
    except ValueError:
        return None


def _has_name(facts: ClaimedFacts, name: HumanName) -> bool:
    """Compare names. A single name may be recorded as family name or as given name."""
    given = _given(name)
    if facts.given_name is None:
        return not (name.family and given) and is_same_name(name.family or given, facts.family_name)
    return is_same_name(name.family or "", facts.family_name) and is_same_given_name(
        given, facts.given_name
    )


def _given(name: HumanName) -> str:
    """Return the first recorded given name; PDS lists given names one by one, with gaps."""
    return next((one for one in name.given if one), "")

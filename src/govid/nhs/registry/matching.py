"""Whether a record is the claimant's: family name, first given name, date of birth."""

from datetime import date

from govid.bus.contracts.facts import ClaimedFacts
from govid.bus.shared.names import is_same_given_name, is_same_name
from govid.nhs.registry.protocol import Outcome
from govid.nhs.registry.record import Name, Record

_FULL_DATE = len("2010-10-22")


def compare(facts: ClaimedFacts, record: Record) -> Outcome:
    """Return match or mismatch, or that the record says too little to tell.

    No caller learns which of the facts differs.
    """
    name = record.usual_name
    if name is None or not (name.family or _given(name)) or not record.birth_date:
        return Outcome.INCOMPLETE
    if not (
        _is_named(facts, name) and facts.date_of_birth.isoformat().startswith(record.birth_date)
    ):
        return Outcome.MISMATCH
    if len(record.birth_date) < _FULL_DATE:
        return Outcome.INCOMPLETE
    return Outcome.MATCH


def born(record: Record) -> date | None:
    """Return the date of birth, if it is known to the day."""
    try:
        return date.fromisoformat(record.birth_date or "")
    except ValueError:
        return None


def _is_named(facts: ClaimedFacts, name: Name) -> bool:
    """Compare names. Someone with one name may have it on record as either of the two."""
    given = _given(name)
    if facts.given_name is None:
        return not (name.family and given) and is_same_name(name.family or given, facts.family_name)
    return is_same_name(name.family or "", facts.family_name) and is_same_given_name(
        given, facts.given_name
    )


def _given(name: Name) -> str:
    """Return the first given name on record; PDS keeps given names apart, with gaps."""
    return next((one for one in name.given if one), "")

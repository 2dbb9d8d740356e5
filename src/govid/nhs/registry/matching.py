"""Whether a record is the claimant's: family name, first given name, date of birth."""

import unicodedata
from datetime import date

from govid.bus.contracts.facts import ClaimedFacts
from govid.nhs.registry.protocol import Outcome
from govid.nhs.registry.record import Record

_FULL_DATE = len("2010-10-22")


def compare(facts: ClaimedFacts, record: Record) -> Outcome:
    """Return match or mismatch, or that the record says too little.

    Which of the facts differs is told to nobody.
    """
    name = record.usual_name
    given = _first(next((one for one in name.given if one), "")) if name else ""
    if name is None or not name.family or not given or not record.birth_date:
        return Outcome.INSUFFICIENT
    if not (
        folded(name.family) == folded(facts.family_name)
        and given == _first(facts.given_name)
        and facts.date_of_birth.isoformat().startswith(record.birth_date)
    ):
        return Outcome.MISMATCH
    if len(record.birth_date) < _FULL_DATE:
        return Outcome.INSUFFICIENT
    return Outcome.MATCH


def folded(text: str) -> str:
    """Return *text* as names are compared: without case, marks, apostrophes, hyphens, spaces."""
    parts = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in parts if letter.isalnum())


def born(record: Record) -> date | None:
    """Return the date of birth, if it is known to the day."""
    try:
        return date.fromisoformat(record.birth_date or "")
    except ValueError:
        return None


def _first(names: str) -> str:
    """Return the first of *names*: PDS keeps them apart, citizens write them in one field."""
    words = names.split()
    return folded(words[0]) if words else ""

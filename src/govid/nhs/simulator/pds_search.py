"""PDS search: validates the criteria and finds the matching patients."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from litestar.datastructures import MultiDict

from govid.bus.shared.names import name_spellings
from govid.nhs.simulator.patients import SimulatedPatient, is_existing_date
from govid.nhs.simulator.pds_errors import (
    PdsError,
    invalid_search,
    invalid_value,
    missing_value,
    unsupported_service,
)

SEARCH_PARAMETERS = frozenset(
    {
        *("family", "given", "gender", "birthdate", "death-date", "address-postalcode"),
        *("address-postcode", "general-practitioner", "email", "phone"),
        *("_fuzzy-match", "_exact-match", "_history", "_max-results"),
    }
)
_DATE = re.compile(r"(eq|ge|le)?(\d{4}-\d{2}-\d{2})", re.ASCII)
_STAR_FROM = 2
_WILD_SCORE = 0.8343
_MISSING_BIRTH = "Missing value - 'birth_date/birth_date_range_start/birth_date_range_end'"

Query = MultiDict[Any]
Test = Callable[[str], bool]


def validate_query(query: Query, *, is_application: bool) -> None:
    """Validate *query* in the order of the NHS's own mock.

    Raises:
        PdsError: the query is invalid.
    """
    if not query:
        raise unsupported_service()
    unknown = [name for name in query if name not in SEARCH_PARAMETERS]
    if unknown:
        raise PdsError(
            400,
            "ADDITIONAL_PROPERTIES",
            "invariant",
            "Additional properties should not be included",
            "Invalid request with error - Additional properties are not allowed "
            f"('{unknown[0]}' was unexpected)",
        )
    for name in ("birthdate", "death-date"):
        for value in query.getall(name, []):
            found = _DATE.fullmatch(value)
            if found is None or not is_existing_date(found[2]):
                raise invalid_value(f"Invalid value - '{value}' in field '{name}'")
    if "birthdate" not in query:
        raise missing_value(_MISSING_BIRTH)
    _check_criteria(query)
    if is_application and query.get("_max-results", "1") != "1":
        raise PdsError(
            403,
            "INVALID_VALUE",
            "token",
            "Cannot retrieve more than one result with application-restricted access token",
        )


def _check_criteria(query: Query) -> None:
    if not query.get("family"):
        raise invalid_search()
    if "address-postcode" in query and "address-postalcode" in query:
        raise invalid_search()
    fuzzy = query.get("_fuzzy-match") == "true"
    for name in ("family", "given", "address-postalcode", "address-postcode"):
        for value in query.getall(name, []):
            if "*" in value and (fuzzy or value.index("*") < _STAR_FROM):
                raise invalid_search()


def find_matches(
    query: Query, people: Sequence[SimulatedPatient]
) -> list[tuple[SimulatedPatient, float]]:
    """Return the matching patients, each with its score."""
    score = _WILD_SCORE if any("*" in str(value) for _, value in query.multi_items()) else 1.0
    return [(one, score) for one in people if _is_match(query, one)]


def _is_match(query: Query, person: SimulatedPatient) -> bool:
    postcode = query.get("address-postalcode") or query.get("address-postcode")
    practice = query.get("general-practitioner")
    if person.is_restricted and (postcode or practice):
        return False
    exact: Mapping[str, str | None] = {
        "gender": person.gender,
        "email": person.email,
        "phone": person.phone,
        "general-practitioner": person.practice,
    }
    return (
        _pattern_test(query["family"])(person.family or "")
        and all(any(map(_pattern_test(one), person.given)) for one in query.getall("given", []))
        and all(_matches_date(one, person.born) for one in query.getall("birthdate"))
        and all(_matches_date(one, person.died) for one in query.getall("death-date", []))
        and (
            not postcode
            or _pattern_test(_without_spaces(postcode))(_without_spaces(person.postcode or ""))
        )
        and all(query[name] == value for name, value in exact.items() if name in query)
    )


def _pattern_test(pattern: str) -> Test:
    """Return a test for *pattern*, in which `*` matches any letters.

    Names are compared by the same spelling rules as everywhere in govid.
    """
    parts = zip(*(_spellings(part) for part in pattern.split("*")), strict=True)
    expressions = [re.compile(".*".join(map(re.escape, form))) for form in parts]
    return lambda text: any(
        expression.fullmatch(form) for expression in expressions for form in name_spellings(text)
    )


def _spellings(part: str) -> tuple[str, str]:
    """Return the plain spelling and the transcribed spelling of a part of a pattern."""
    forms = name_spellings(part)
    return forms[0], forms[-1]


def _matches_date(criterion: str, day: str | None) -> bool:
    found = _DATE.fullmatch(criterion)
    if found is None or day is None:
        return False
    how, criterion_date = found[1] or "eq", found[2]
    known = day[: len(criterion_date)]
    return {
        "eq": known == criterion_date,
        "ge": known >= criterion_date,
        "le": known <= criterion_date,
    }[how]


def _without_spaces(text: str) -> str:
    return text.replace(" ", "")

"""Validation errors of msgspec as messages for clients."""

import pytest

from govid.bus import FieldFault
from govid.gateway.http.json_body import format_field_problem, parse_validation_message


@pytest.mark.parametrize(
    ("message", "loc", "msg", "kind"),
    [
        ("Object missing required field `email`", ("email",), "this is needed", "missing"),
        (
            "Object contains unknown field `x` - at `$.a[3]`",
            ("a", 3, "x"),
            "there is no such field",
            "unknown_field",
        ),
        (
            "Object contains unknown field `AB 12 34 56 C`",
            (),
            "there is no such field",
            "unknown_field",
        ),
        ("Expected `str`, got `int` - at `$.email`", ("email",), "must be text", "wrong_type"),
        (
            "Expected `str | null`, got `int` - at `$.a`",
            ("a",),
            "must be text or null",
            "wrong_type",
        ),
        ("Expected `str` of length <= 5 - at `$.a`", ("a",), "at most 5 characters", "too_long"),
        ("Expected `str` of length >= 2 - at `$.a`", ("a",), "at least 2 characters", "too_short"),
        (
            "Expected `str` matching regex '^a' - at `$.a`",
            ("a",),
            "not in the expected form",
            "wrong_form",
        ),
        ("Expected `int` >= 0 - at `$.n`", ("n",), "at least 0", "too_small"),
        ("Expected `int` <= 5 - at `$.n`", ("n",), "at most 5", "too_large"),
        (
            "Invalid enum value 'secret' - at `$.e`",
            ("e",),
            "not one of the allowed values",
            "not_allowed",
        ),
        *(
            (f"Invalid RFC3339 encoded {form} - at `$.d`", ("d",), msg, "wrong_form")
            for form, msg in (
                ("date", "must be a real date like 2027-03-01"),
                ("time", "must be a time like 09:30:00"),
                ("datetime", "must be a date and time like 2026-01-31T09:30:00Z"),
            )
        ),
        ("Invalid UUID - at `$.u`", ("u",), "must be a UUID", "wrong_form"),
        (
            "Something new about 'secret' - at `$.u`",
            ("u",),
            "this value is not valid here",
            "invalid",
        ),
    ],
)
def test_each_finding_is_put_into_words(
    message: str, loc: tuple[str | int, ...], msg: str, kind: str
) -> None:
    assert parse_validation_message(message) == FieldFault(loc=loc, msg=msg, type=kind)


def test_a_sentence_names_the_field() -> None:
    assert (
        format_field_problem(FieldFault(loc=("body", "email"), msg="is odd", type="x"))
        == "email: is odd"
    )
    assert format_field_problem(FieldFault(loc=("body",), msg="is odd", type="x")) == "is odd"

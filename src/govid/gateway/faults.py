"""Translates msgspec's validation messages for clients: the field and the rule, never the value."""

import re

from govid.bus import FieldProblem

_LOC = re.compile(r"^(?P<what>.*?)(?: - at `(?P<at>[^`]*)`)?$", re.DOTALL)
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")

_KINDS = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "decimal": "a number",
    "bool": "true or false",
    "object": "an object",
    "array": "a list",
    "uuid": "a UUID",
    "datetime": "a date and time",
    "date": "a date",
    "time": "a time",
    "duration": "a duration",
    "null": "null",
}

_RULES: tuple[tuple[re.Pattern[str], str, str], ...] = tuple(
    (re.compile(pattern), msg, kind)
    for pattern, msg, kind in (
        (
            r"^Expected `(?:str|array|bytes)` of length <= (\d+)",
            "at most {0} characters",
            "too_long",
        ),
        (
            r"^Expected `(?:str|array|bytes)` of length >= (\d+)",
            "at least {0} characters",
            "too_short",
        ),
        (r"^Expected `str` matching regex", "not in the expected form", "wrong_form"),
        (r"^Expected `\w+` >= (-?[\d.]+)", "at least {0}", "too_small"),
        (r"^Expected `\w+` > (-?[\d.]+)", "more than {0}", "too_small"),
        (r"^Expected `\w+` <= (-?[\d.]+)", "at most {0}", "too_large"),
        (r"^Expected `\w+` < (-?[\d.]+)", "less than {0}", "too_large"),
        (r"^Expected `\w+` with a timezone", "an offset from UTC is needed", "wrong_form"),
        (r"^Invalid enum value", "not one of the allowed values", "not_allowed"),
        (r"^Invalid UUID", "must be a UUID", "wrong_form"),
        (r"^Invalid RFC3339 encoded date$", "must be a real date like 2027-03-01", "wrong_form"),
        (r"^Invalid RFC3339 encoded time$", "must be a time like 09:30:00", "wrong_form"),
        (
            r"^Invalid RFC3339 encoded datetime$",
            "must be a date and time like 2026-01-31T09:30:00Z",
            "wrong_form",
        ),
        (r"^Invalid ISO8601 duration", "must be a duration like PT30M", "wrong_form"),
        (r"^Invalid base64", "must be base64", "wrong_form"),
        (r"^Invalid decimal", "must be a number", "wrong_form"),
    )
)
_TYPE = re.compile(r"^Expected `([^`]+)`, got `[^`]+`")
_MEMBER = re.compile(r"^Object (missing required|contains unknown) field `([^`]*)`")


def parse_validation_message(message: str) -> FieldProblem:
    """Parse a validation message of msgspec; the `loc` of the result starts below the body.

    msgspec quotes values of enumerations and names of unknown members. A value is never returned. A
    member's name is returned if it is a plain name, so that the client can find a misspelling.
    """
    found = _LOC.match(message)
    what, at = (found["what"], found["at"] or "") if found else (message, "")
    loc: tuple[str | int, ...] = tuple(name or int(index) for name, index in _STEP.findall(at))
    if member := _MEMBER.match(what):
        name = (member[2],) if _NAME.fullmatch(member[2]) else ()
        if member[1] == "missing required":
            return FieldProblem(loc=(*loc, *name), msg="this is needed", type="missing")
        return FieldProblem(loc=(*loc, *name), msg="there is no such field", type="unknown_field")
    if wanted := _TYPE.match(what):
        names = [_KINDS.get(part.strip(), "of another type") for part in wanted[1].split("|")]
        return FieldProblem(loc=loc, msg=f"must be {' or '.join(names)}", type="wrong_type")
    for pattern, msg, kind in _RULES:
        if rule := pattern.match(what):
            return FieldProblem(loc=loc, msg=msg.format(*rule.groups()), type=kind)
    return FieldProblem(loc=loc, msg="this value is not valid here", type="invalid")


def fault_sentence(fault: FieldProblem) -> str:
    """Return *fault* in one line, with the name of its field if it has one."""
    return fault.msg if len(fault.loc) == 1 else f"{fault.loc[-1]}: {fault.msg}"

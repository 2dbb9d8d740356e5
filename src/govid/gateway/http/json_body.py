"""Decodes JSON bodies strictly; any deviation is a 422 that names the field.

Litestar alone would accept "1" for 1, text/plain as JSON and the last of two equal keys, and would
answer 500 to deep nesting. A body is therefore decoded twice: first as the struct that the handler
declares, which takes microseconds for any content, and then as plain JSON, to find the errors that
no type describes. The second pass runs in Python. It is skipped if the first pass has refused a
body of so many values that searching it for a better reason would block the event loop.

A body of more than `SHORT_BODY_BYTES` is a 413, unless the route declares `long_text`. The limit of
all bodies is `limits.MAX_BODY_BYTES`.

msgspec's validation messages are translated for clients: the field and the rule, never the value.
"""

import json
import math
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import islice
from typing import Any, NoReturn

import msgspec
from litestar import Request
from litestar.datastructures import State
from litestar.exceptions import HTTPException

from govid.bus import FieldFault, InvalidRequest

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


def parse_validation_message(message: str) -> FieldFault:
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
            return FieldFault(loc=(*loc, *name), msg="this is needed", type="missing")
        return FieldFault(loc=(*loc, *name), msg="there is no such field", type="unknown_field")
    if wanted := _TYPE.match(what):
        names = [_KINDS.get(part.strip(), "of another type") for part in wanted[1].split("|")]
        return FieldFault(loc=loc, msg=f"must be {' or '.join(names)}", type="wrong_type")
    for pattern, msg, kind in _RULES:
        if rule := pattern.match(what):
            return FieldFault(loc=loc, msg=msg.format(*rule.groups()), type=kind)
    return FieldFault(loc=loc, msg="this value is not valid here", type="invalid")


def format_field_problem(problem: FieldFault) -> str:
    """Return *problem* in one line, with the name of its field if it has one."""
    return problem.msg if len(problem.loc) == 1 else f"{problem.loc[-1]}: {problem.msg}"


MAX_DEPTH = 32
SHORT_BODY_BYTES = 16 * 1024
"""The largest body of a route, unless it accepts long texts (`long_text=True`)."""
MAX_SEARCHED_VALUES = 1_000
"""A refused body with more values than this is not searched for a more precise reason."""
_INT64 = range(-(2**63), 2**63)
_DIGITS_OF_INT64 = 20

# Possessive quantifiers, and an unterminated string runs to the end of the body: with backtracking,
# a body of nothing but escaped quotes would be scanned once for each of them.
_STRUCTURE = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|([\[{])|([\]}])', re.DOTALL)
_SURROGATE = re.compile("[\ud800-\udfff]")

FieldPath = tuple[str | int, ...]


class StrictRequest(Request[Any, Any, State]):
    """A request whose JSON is decoded into the struct that its handler declares."""

    async def json(self) -> Any:
        """Return the body as the type of the handler's `data`.

        Raises:
            InvalidRequest: the body is not JSON, or does not match the type.
            HTTPException: 415, the media type is not JSON; 413, the body is too large.
        """
        media_type, parameters = self.content_type
        charset = parameters.get("charset", "utf-8").lower()
        if media_type != "application/json" or charset not in ("utf-8", "utf8"):
            raise HTTPException(status_code=415)
        body = await self.body()
        if len(body) > SHORT_BODY_BYTES and not self.route_handler.opt.get("long_text", False):
            raise HTTPException(status_code=413)
        field = self.route_handler.parsed_data_field
        return read_json(body, Any if field is None else field.annotation)


def read_json(body: bytes, target_type: Any) -> Any:
    """Return *body* as an object of *target_type*.

    Raises:
        InvalidRequest: the body is not JSON, or does not match the type.
    """
    _check_encoding(body)
    try:
        value = _get_decoder(target_type).decode(body)
    except msgspec.ValidationError as error:
        _find_precise_reason(body)
        fault = parse_validation_message(str(error))
        _refuse(fault.loc, fault.msg, fault.type)
    except (msgspec.DecodeError, RecursionError):
        _find_precise_reason(body)
        # `json` accepts some texts that msgspec refuses, such as an escaped half surrogate pair.
        _refuse((), "the body is not JSON", "json_malformed")
    _check_json(body)
    return value


def _find_precise_reason(body: bytes) -> None:
    """Refuse an undecodable body with a more precise reason, if it is small enough to search.

    The depth is checked in any case, but for the first values only.
    """
    if body.count(b",") + body.count(b"[") + body.count(b"{") <= MAX_SEARCHED_VALUES:
        _check_json(body)
    else:
        _check_depth(islice(_STRUCTURE.finditer(body), MAX_SEARCHED_VALUES))


def _check_encoding(body: bytes) -> None:
    if body.startswith(b"\xef\xbb\xbf"):
        _refuse((), "the body may not start with a byte order mark", "json_malformed")
    try:
        body.decode()
    except UnicodeDecodeError:
        _refuse((), "the body is not UTF-8", "encoding")


def _check_json(body: bytes) -> None:
    """Refuse errors of *body* that are independent of its type."""
    _check_depth(_STRUCTURE.finditer(body))
    try:
        tree = json.loads(
            body.decode(),
            object_pairs_hook=_unique_members,
            parse_int=_parse_integer,
            parse_constant=_refuse_constant,
        )
    except json.JSONDecodeError as error:
        _refuse((), f"the body is not JSON (character {error.pos})", "json_malformed")
    for loc, value in _iterate_leaves(tree, ()):
        _check_leaf(loc, value)


@lru_cache(maxsize=256)
def _get_decoder(target_type: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(target_type, strict=True)


def _refuse(loc: FieldPath, msg: str, kind: str) -> NoReturn:
    """Raise the 422 for one place *loc* below the body."""
    fault = FieldFault(loc=("body", *loc), msg=msg, type=kind)
    raise InvalidRequest(format_field_problem(fault), field_problems=(fault,)) from None


def _check_depth(brackets: Iterable[re.Match[bytes]]) -> None:
    """Refuse a body whose *brackets*, outside of strings, are nested too deeply."""
    depth = 0
    for found in brackets:
        if found[1]:
            depth += 1
            if depth > MAX_DEPTH:
                _refuse((), f"the body is nested deeper than {MAX_DEPTH} levels", "too_deep")
        elif found[2]:
            depth -= 1


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for key, value in pairs:
        if key in members:
            _refuse((), "the body gives a field twice", "duplicate_field")
        members[key] = value
    return members


def _parse_integer(text: str) -> int:
    # Parsing more digits would be slow, and Python refuses more than 4,300.
    return int(text) if len(text) <= _DIGITS_OF_INT64 else 2**64


def _refuse_constant(_: str) -> NoReturn:
    _refuse((), "NaN and Infinity are not JSON", "json_malformed")


def _iterate_leaves(value: Any, loc: FieldPath) -> Iterator[tuple[FieldPath, Any]]:
    """Yield every leaf of *value* with its location; names of members count as leaves."""
    match value:
        case dict():
            for key, member in value.items():
                yield loc, key
                yield from _iterate_leaves(member, (*loc, key))
        case list():
            for index, item in enumerate(value):
                yield from _iterate_leaves(item, (*loc, index))
        case _:
            yield loc, value


def _check_leaf(loc: FieldPath, value: Any) -> None:
    match value:
        case str() if "\0" in value:
            _refuse(loc, "may not hold the character NUL", "nul_character")
        case str() if _SURROGATE.search(value):
            _refuse(loc, "holds half of a surrogate pair", "encoding")
        case int() if value not in _INT64:
            _refuse(loc, "the number is out of range", "out_of_range")
        case float() if not math.isfinite(value):
            _refuse(loc, "the number is out of range", "out_of_range")

"""Reads JSON bodies strictly: what is not exactly what was asked for is a 422 that says where.

Litestar alone would take "1" for 1, text/plain for JSON and the last of two equal keys, and answer
500 to deep nesting. A body is therefore looked at twice: once as JSON in general, for the faults
that no type describes, and once as the struct that the handler wants.
"""

import json
import math
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NoReturn

import msgspec
from litestar import Request
from litestar.datastructures import State
from litestar.exceptions import HTTPException

from govid.bus import FieldFault, Invalid
from govid.gateway.faults import explain, sentence

DEPTH = 32
_INT64 = range(-(2**63), 2**63)
_DIGITS_OF_INT64 = 20

# Possessive, and a string that never ends runs to the end of the body: with anything to go back
# to, a body of nothing but escaped quotes would be read once for each of them.
_STRUCTURE = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|([\[{])|([\]}])', re.DOTALL)
_SURROGATE = re.compile("[\ud800-\udfff]")

Loc = tuple[str | int, ...]


class StrictRequest(Request[Any, Any, State]):
    """A request whose JSON is decoded into the struct that its handler declares."""

    async def json(self) -> Any:
        """Return the body as the type of the handler's `data`.

        Raises:
            Invalid: the body is not JSON, or not of that shape.
            HTTPException: 415, the body does not say that it is JSON.
        """
        media_type, parameters = self.content_type
        charset = parameters.get("charset", "utf-8").lower()
        if media_type != "application/json" or charset not in ("utf-8", "utf8"):
            raise HTTPException(status_code=415)
        body = await self.body()
        _check(body)
        field = self.route_handler.parsed_data_field
        return _decode(body, Any if field is None else field.annotation)


def _check(body: bytes) -> None:
    """Refuse what is wrong with *body* whatever it is meant to be."""
    if body.startswith(b"\xef\xbb\xbf"):
        _refuse((), "the body may not start with a byte order mark", "json_malformed")
    try:
        text = body.decode()
    except UnicodeDecodeError:
        _refuse((), "the body is not UTF-8", "encoding")
    if _depth(body) > DEPTH:
        _refuse((), f"the body is nested deeper than {DEPTH} levels", "too_deep")
    try:
        tree = json.loads(
            text, object_pairs_hook=_object, parse_int=_integer, parse_constant=_constant
        )
    except json.JSONDecodeError as error:
        _refuse((), f"the body is not JSON (character {error.pos})", "json_malformed")
    for loc, value in _leaves(tree, ()):
        _check_leaf(loc, value)


def _decode(body: bytes, wanted: Any) -> Any:
    try:
        return _decoder(wanted).decode(body)
    except msgspec.ValidationError as error:
        fault = explain(str(error))
        _refuse(fault.loc, fault.msg, fault.type)
    except msgspec.DecodeError:
        # What `json` lets pass and msgspec does not, such as an escaped half of a surrogate pair.
        _refuse((), "the body is not JSON", "json_malformed")


@lru_cache(maxsize=256)
def _decoder(wanted: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(wanted, strict=True)


def _refuse(loc: Loc, msg: str, kind: str) -> NoReturn:
    """Raise the 422 for one wrong place below the body."""
    fault = FieldFault(loc=("body", *loc), msg=msg, type=kind)
    raise Invalid(sentence(fault), faults=(fault,)) from None


def _depth(body: bytes) -> int:
    """Return how deep the brackets outside of strings are nested."""
    deepest = depth = 0
    for found in _STRUCTURE.finditer(body):
        if found[1]:
            depth += 1
            deepest = max(deepest, depth)
        elif found[2]:
            depth -= 1
    return deepest


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for key, value in pairs:
        if key in members:
            _refuse((), "the body gives a field twice", "duplicate_field")
        members[key] = value
    return members


def _integer(text: str) -> int:
    # Reading more digits would be slow, and past 4,300 of them Python refuses.
    return int(text) if len(text) <= _DIGITS_OF_INT64 else 2**64


def _constant(_: str) -> NoReturn:
    _refuse((), "NaN and Infinity are not JSON", "json_malformed")


def _leaves(value: Any, loc: Loc) -> Iterator[tuple[Loc, Any]]:
    """Go through everything in *value* that holds nothing else, names of members included."""
    match value:
        case dict():
            for key, member in value.items():
                yield loc, key
                yield from _leaves(member, (*loc, key))
        case list():
            for index, item in enumerate(value):
                yield from _leaves(item, (*loc, index))
        case _:
            yield loc, value


def _check_leaf(loc: Loc, value: Any) -> None:
    match value:
        case str() if "\0" in value:
            _refuse(loc, "may not hold the character NUL", "nul_character")
        case str() if _SURROGATE.search(value):
            _refuse(loc, "holds half of a surrogate pair", "encoding")
        case int() if value not in _INT64:
            _refuse(loc, "the number is out of range", "out_of_range")
        case float() if not math.isfinite(value):
            _refuse(loc, "the number is out of range", "out_of_range")

"""Masks personal data before output: in commands, log lines and error messages."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from govid.bus.events.registry import EVENT_TYPES
from govid.bus.shared.privacy import personal_field_names

MASK = "***"


def _member_names(struct: type[msgspec.Struct]) -> frozenset[str]:
    return frozenset(field.encode_name for field in msgspec.structs.fields(struct))


_SHOWN_BY_TYPE = {
    name: _member_names(kind.struct) - personal_field_names(kind.struct)
    for kind in EVENT_TYPES
    for name in (kind.name, f"{kind.name}.v{kind.version}")
}

_PERSONAL_ANYWHERE = frozenset().union(*(personal_field_names(kind.struct) for kind in EVENT_TYPES))
_SHOWN_EVERYWHERE = frozenset().union(*_SHOWN_BY_TYPE.values()) - _PERSONAL_ANYWHERE

_PERSONAL_SHAPES = re.compile(
    r"""
    eyJ[\w-]{8,}(?:\.[\w-]*){0,4}                             # a token
  | [^\s@"'<>/=(]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}      # an e-mail address
  | \b[A-Za-z]{2}[ ]?[0-9]{2}[ ]?[0-9]{2}[ ]?[0-9]{2}[ ]?[A-Da-d]\b   # a National Insurance number
  | \bNHS[0-9]{9}\b                                         # the prototype's NHS number
  | \b[0-9]{3}[ -]?[0-9]{3}[ -]?[0-9]{4}\b                   # an NHS number or a taxpayer's
  | \+[1-9][0-9]{7,14}\b                                    # a telephone number
  | (?<=//)[^\s/@:]*:[^\s/@]*(?=@)                           # the credentials in a URL
    """,
    re.VERBOSE | re.ASCII,
)


def mask_payload(payload: Mapping[str, Any], type_name: str | None = None) -> dict[str, Any]:
    """Return *payload* with every value masked that could be personal; null stays null.

    *type_name* is the event's type, with or without its version. A member that its struct does not
    have is masked, because a later release may have added it. Of an unknown type, only members are
    shown that are not personal in any type (I9).
    """
    shown = _SHOWN_BY_TYPE.get(type_name or "", _SHOWN_EVERYWHERE)
    return {
        name: value if name in shown or value is None else MASK for name, value in payload.items()
    }


def mask_text(text: str) -> str:
    """Return *text* with everything masked that looks like an identifier, an address or a token.

    A second safeguard for text from outside: the path of a request, the message of a library.
    """
    return _PERSONAL_SHAPES.sub(MASK, text)

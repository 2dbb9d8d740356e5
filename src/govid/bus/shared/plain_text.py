"""Checks text from people for control characters and text-direction marks."""

import re
from typing import Any

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

# Unicode category Cc, the line and paragraph separators, and the marks of direction of the
# Unicode Bidirectional Algorithm (UAX 9, section 2).
_DIRECTION_MARKS = "\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_FORBIDDEN_IN_TEXT = re.compile(f"[\x00-\x08\x0b-\x1f\x7f-\x9f{_DIRECTION_MARKS}]")
_FORBIDDEN_IN_LINE = re.compile(f"[\x00-\x1f\x7f-\x9f{_DIRECTION_MARKS}]")


def is_plain_line(text: str) -> bool:
    """Tell whether *text* is one line without control characters or marks of direction."""
    return _FORBIDDEN_IN_LINE.search(text) is None


def is_plain_text(text: str) -> bool:
    """Tell whether *text* has no direction marks, and no control characters but LF and tab."""
    return _FORBIDDEN_IN_TEXT.search(text) is None


def replace_control_characters(value: Any) -> Any:
    """Return the JSON *value* with control characters and direction marks replaced by U+FFFD.

    Line feeds and tabs stay. Use it for text that was stored before such characters were refused.
    """
    if isinstance(value, str):
        return _FORBIDDEN_IN_TEXT.sub(REPLACEMENT, value)
    if isinstance(value, dict):
        return {name: replace_control_characters(member) for name, member in value.items()}
    if isinstance(value, list):
        return [replace_control_characters(member) for member in value]
    return value

"""Which characters are refused in what people write, and what happens to them in old rows."""

import unicodedata

import pytest

from govid.bus.shared.plain_text import is_plain_line, is_plain_text, replace_control_characters

CONTROLS = [chr(code) for code in range(0x100) if unicodedata.category(chr(code)) == "Cc"]
ORDER = [
    *("\u2028", "\u2029", "\u061c", "\u200e", "\u200f"),
    *map(chr, range(0x202A, 0x202F)),
    *map(chr, range(0x2066, 0x206A)),
]


def test_e11_every_control_character_and_mark_of_direction_is_found() -> None:
    assert len(CONTROLS) == 65
    assert [one for one in CONTROLS + ORDER if is_plain_line(f"a{one}b")] == []
    assert [one for one in CONTROLS + ORDER if is_plain_text(f"a{one}b")] == ["\t", "\n"]


@pytest.mark.parametrize(
    "text", ["", "Zoë O’Brien", "علی\u200cرضا", "李", "a\u00a0b", "x – y", "😀"]
)
def test_e11_other_text_is_plain(text: str) -> None:
    assert is_plain_line(text)
    assert is_plain_text(text)
    assert replace_control_characters(text) == text


@pytest.mark.parametrize(
    ("value", "neutral"),
    [
        ("a\x1b[31mb", "a\ufffd[31mb"),
        ("line\n\tline\r", "line\n\tline\ufffd"),
        (["\u202ex", 1, None], ["\ufffdx", 1, None]),
        ({"a": {"b": "\x00"}, "c": 1.5}, {"a": {"b": "\ufffd"}, "c": 1.5}),
        (None, None),
        (True, True),
    ],
)
def test_e11_old_text_is_neutralised_wherever_it_is(value: object, neutral: object) -> None:
    assert replace_control_characters(value) == neutral

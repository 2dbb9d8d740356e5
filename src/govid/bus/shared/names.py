"""Compares names of people, and transcribes them for HMRC's forms.

All departments use this one table, so that two of them cannot disagree about a name. Case, marks
and punctuation are ignored; a Latin letter beyond a to z is spelt out in a to z. Letters of other
scripts are kept.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from functools import lru_cache

HMRC_NAME_MAX = 35
"""The longest name that HMRC's form accepts. Source: hmrc/individuals-matching-api."""

_HMRC_MARKS = frozenset(" `-'^")
_APOSTROPHES = frozenset(
    "'"
    "\N{LEFT SINGLE QUOTATION MARK}"
    "\N{RIGHT SINGLE QUOTATION MARK}"
    "\N{PRIME}"
    "\N{MODIFIER LETTER PRIME}"
    "\N{MODIFIER LETTER TURNED COMMA}"
    "\N{MODIFIER LETTER APOSTROPHE}"
    "\N{MODIFIER LETTER REVERSED COMMA}"
)
_FIRST_MODIFIER, _LAST_MODIFIER = "\u02b9", "\u02ff"
"""Spacing modifier letters: letters to Unicode, apostrophes and tone marks in names."""

_FULL_STOPS = re.compile(r" *\. *")
_SPACES = re.compile(r"[\s.]+")
_HYPHENS = re.compile("[-\u2010-\u2015\u2212\ufe58\ufe63\uff0d]+")

# Source: ICAO Doc 9303-3, section 6, which has two transcriptions of these letters. The plain one
# is the letter without its mark.
_SPELT_OUT: Mapping[tuple[str, str], str] = {
    ("a", "\N{COMBINING DIAERESIS}"): "ae",
    ("o", "\N{COMBINING DIAERESIS}"): "oe",
    ("u", "\N{COMBINING DIAERESIS}"): "ue",
    ("a", "\N{COMBINING RING ABOVE}"): "aa",
}
_TWO_FORMS: Mapping[str, tuple[str, str]] = {
    "\N{LATIN SMALL LETTER O WITH STROKE}": ("o", "oe"),
    "\N{LATIN SMALL LETTER SCHWA}": ("a", "e"),
}

# Letters with a Unicode name of their own. All others are named by the letters of a to z that they
# are made of: "LATIN SMALL LETTER L WITH STROKE", "LATIN SMALL LIGATURE OE".
_LETTERS_BY_UNICODE_NAME: Mapping[str, str] = {
    "ALPHA": "a",
    "BETA": "b",
    "CHI": "ch",
    "DEZH": "dzh",
    "ENG": "n",
    "ESH": "s",
    "ETH": "d",
    "EZH": "z",
    "GLOTTAL": "h",
    "HENG": "h",
    "KRA": "q",
    "LEZH": "l",
    "PHI": "ph",
    "SALTILLO": "h",
    "SCHWA": "a",
    "TESH": "tsh",
    "THORN": "th",
    "UPSILON": "u",
    "WYNN": "w",
    "YOGH": "y",
}
_LONGEST_LIGATURE = 2

_JOINERS = frozenset("\u200c\u200d")
# Scripts that join letters, by the first part of the Unicode names of their letters.
_JOINING_SCRIPTS = frozenset(
    (
        *("ADLAM", "ARABIC", "HANIFI", "MANDAIC", "MONGOLIAN", "NKO", "PHAGS-PA", "SYRIAC"),
        *("BALINESE", "BENGALI", "BUGINESE", "CHAKMA", "DEVANAGARI", "GUJARATI", "GURMUKHI"),
        *("JAVANESE", "KANNADA", "KHMER", "MALAYALAM", "MEETEI", "MYANMAR", "ORIYA"),
        *("SAURASHTRA", "SINHALA", "SUNDANESE", "TAMIL", "TELUGU", "TIBETAN"),
    )
)

# Combining classes of the vowel points of Hebrew and Arabic, which are optional in writing.
_FIRST_POINT, _LAST_POINT = 10, 35


def name_spellings(name: str) -> tuple[str, ...]:
    """Return the forms in which *name* is compared, the plain one first.

    A second form exists where two transcriptions are customary: `muller` and `mueller` for Müller.
    A name without letters gives the empty string.
    """
    forms = ("", "")
    for base, marks in _split_clusters(name):
        forms = _append_forms(forms, _comparison_forms(base, marks))
    plain, spelt = (unicodedata.normalize("NFC", form) for form in forms)
    return (plain,) if plain == spelt else (plain, spelt)


def is_same_name(one: str, other: str) -> bool:
    """Tell whether two family names are the same: `O'Brien-Smith` and `OBRIEN SMITH` are."""
    return _have_common_form(name_spellings(one), name_spellings(other))


def is_same_given_name(one: str, other: str) -> bool:
    """Tell whether two people's first given names are the same.

    Only the first part of each name is compared; a hyphen ends a part as a space or a full stop
    does, so `Anne-Marie` matches `Anne Marie`. Two hyphenated names are compared as a whole.
    """
    first, second = _split_given_name(one), _split_given_name(other)
    if _have_common_form(name_spellings("".join(first)), name_spellings("".join(second))):
        return True
    are_both_hyphenated = len(first) > 1 and len(second) > 1
    return not are_both_hyphenated and _have_common_form(
        name_spellings(first[0]), name_spellings(second[0])
    )


def first_given_name(names: str) -> str:
    """Return the first of the given *names*, with its hyphens; empty if there is none."""
    return next((one for one in _SPACES.split(names) if one), "")


def have_same_prefix(one: str, other: str, letters: int) -> bool:
    """Tell whether the first *letters* of two names are the same."""
    return _have_common_form(
        tuple(form[:letters] for form in name_spellings(one)),
        tuple(form[:letters] for form in name_spellings(other)),
    )


def is_joiner(name: str, index: int) -> bool:
    """Tell whether the character at *index* is a joiner that belongs to *name*.

    Joiners (U+200C, U+200D) shape the letters around them in scripts that join letters. A joiner
    belongs between two such letters, or after the last letter of a name part.

    Source: Unicode Standard Annex 31, section 2.3.
    """
    if name[index] not in _JOINERS:
        return False
    after = name[index + 1 : index + 2].strip()
    return (
        index > 0
        and _is_joining_letter(name[index - 1])
        and (not after or _is_joining_letter(after))
    )


def hmrc_spellings(name: str) -> tuple[str, ...]:
    """Return *name* in the letters that HMRC's form accepts, in one or two transcriptions.

    Apostrophes, hyphens and spaces that HMRC accepts are kept; other punctuation is left out.

    Raises:
        ValueError: the form cannot represent the name; the message does not quote it.
    """
    forms = ("", "")
    for base, marks in _split_clusters(name):
        forms = _append_forms(forms, _hmrc_forms(base, marks))
    plain, spelt = (_FULL_STOPS.sub(" ", form).strip() if "." in form else form for form in forms)
    if len(plain) > HMRC_NAME_MAX or not any(letter.isalpha() for letter in plain):
        raise ValueError("a name that HMRC's form cannot carry")
    return (plain,) if plain == spelt or len(spelt) > HMRC_NAME_MAX else (plain, spelt)


def _split_clusters(name: str) -> Iterator[tuple[str, str]]:
    """Yield each character of *name*, decomposed, with its combining marks."""
    base, marks = "", ""
    for character in unicodedata.normalize("NFKD", name):
        if unicodedata.category(character).startswith("M"):
            marks += character
            continue
        if base:
            yield base, marks
        base, marks = character, ""
    if base:
        yield base, marks


def _comparison_forms(base: str, marks: str) -> tuple[str, str]:
    if _is_latin(base):
        return _transcribe(base, marks)
    if unicodedata.category(base)[0] not in "LN" or _FIRST_MODIFIER <= base <= _LAST_MODIFIER:
        return "", ""
    is_greek = unicodedata.name(base, "").startswith("GREEK")
    kept = "" if is_greek else "".join(mark for mark in marks if not _is_point(mark))
    letter = base.casefold() + kept
    return letter, letter


def _hmrc_forms(base: str, marks: str) -> tuple[str, str]:
    if _is_latin(base):
        plain, spelt = _transcribe(base, marks)
        return (plain.capitalize(), spelt.capitalize()) if base.isupper() else (plain, spelt)
    written = base if base in _HMRC_MARKS else _hmrc_punctuation(base)
    return written, written


def _hmrc_punctuation(character: str) -> str:
    if character in _APOSTROPHES:
        return "'"
    if _HYPHENS.fullmatch(character):
        return "-"
    if character == ".":
        return "."
    kind = unicodedata.category(character)
    if kind.startswith("Z"):
        return " "
    if kind[0] in "PS" or kind == "Cf" or _FIRST_MODIFIER <= character <= _LAST_MODIFIER:
        return ""
    raise ValueError("a name that HMRC's form cannot carry")


def _transcribe(base: str, marks: str) -> tuple[str, str]:
    """Return a Latin letter in a to z: the plain form, and the customary spelling."""
    plain, spelt = _transcribe_letter(base)
    for mark in marks:
        spelt = _SPELT_OUT.get((spelt, mark), spelt)
    return plain, spelt


@lru_cache(maxsize=2048)
def _transcribe_letter(base: str) -> tuple[str, str]:
    small = base.casefold()
    if small.isascii():
        return small, small
    if small in _TWO_FORMS:
        return _TWO_FORMS[small]
    letters = _letters_from_unicode_name(unicodedata.name(small))
    return letters, letters


def _letters_from_unicode_name(name: str) -> str:
    """Return the letters of a to z in a letter's Unicode *name*.

    A letter that no table lists becomes the initial of its Unicode name, so that none is lost.
    """
    words = [word for word in re.split("[ -]", name.partition(" WITH ")[0]) if word != "LATIN"]
    for word in words:
        if word in _LETTERS_BY_UNICODE_NAME:
            return _LETTERS_BY_UNICODE_NAME[word]
        if len(word) <= _LONGEST_LIGATURE:
            return word.lower()
    return words[-1][0].lower()


@lru_cache(maxsize=2048)
def _is_latin(character: str) -> bool:
    if character.isascii():
        return character.isalpha()
    if not unicodedata.category(character).startswith("L"):
        return False
    # U+A788 is the only modifier letter in a Latin block.
    return unicodedata.name(character, "").startswith("LATIN") or character == "\ua788"


def _split_given_name(names: str) -> list[str]:
    """Return the parts of the first given name; there is at least one, which may be empty."""
    return [word for word in _HYPHENS.split(first_given_name(names)) if word] or [""]


def _is_joining_letter(character: str) -> bool:
    return unicodedata.name(character, "").partition(" ")[0] in _JOINING_SCRIPTS


def _is_point(mark: str) -> bool:
    return _FIRST_POINT <= unicodedata.combining(mark) <= _LAST_POINT


def _append_forms(forms: tuple[str, str], more: tuple[str, str]) -> tuple[str, str]:
    return forms[0] + more[0], forms[1] + more[1]


def _have_common_form(some: tuple[str, ...], others: tuple[str, ...]) -> bool:
    return any(one and one in others for one in some)

"""What both of HMRC's contracts for a match have in common: who is asked about, and how it ends."""

import unicodedata
from datetime import date
from typing import Protocol

import msgspec

from govid.bus.contracts.facts import ClaimedFacts
from govid.hmrc.registry.protocol import Evidence

LONGEST_NAME = 35

_LETTERS = str.maketrans(
    {
        "\N{RIGHT SINGLE QUOTATION MARK}": "'",
        "\N{LEFT SINGLE QUOTATION MARK}": "'",
        "\N{MODIFIER LETTER APOSTROPHE}": "'",
        "\N{HYPHEN}": "-",
        "\N{NON-BREAKING HYPHEN}": "-",
        "\N{EN DASH}": "-",
        "\N{LATIN SMALL LETTER SHARP S}": "ss",
        "\N{LATIN SMALL LETTER AE}": "ae",
        "\N{LATIN CAPITAL LETTER AE}": "AE",
        "\N{LATIN SMALL LIGATURE OE}": "oe",
        "\N{LATIN CAPITAL LIGATURE OE}": "OE",
        "\N{LATIN SMALL LETTER O WITH STROKE}": "o",
        "\N{LATIN CAPITAL LETTER O WITH STROKE}": "O",
        "\N{LATIN SMALL LETTER L WITH STROKE}": "l",
        "\N{LATIN CAPITAL LETTER L WITH STROKE}": "L",
        "\N{LATIN SMALL LETTER D WITH STROKE}": "d",
        "\N{LATIN CAPITAL LETTER D WITH STROKE}": "D",
        "\N{LATIN SMALL LETTER ETH}": "d",
        "\N{LATIN CAPITAL LETTER ETH}": "D",
        "\N{LATIN SMALL LETTER THORN}": "th",
        "\N{LATIN CAPITAL LETTER THORN}": "Th",
        "\N{LATIN SMALL LETTER DOTLESS I}": "i",
    }
)
"""Letters that are no letter of English with a mark."""

_ALLOWED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz `-'^")


class NoMatch(Exception):
    """HMRC knows nobody of that description."""


class Deceased(Exception):
    """HMRC knows who it is, and that they have died."""


class AnotherPerson(Exception):
    """The answer is about somebody else."""


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Who is asked about, as HMRC writes names."""

    first: str
    last: str
    born: date
    nino: str

    @property
    def body(self) -> bytes:
        """The request's body, which both contracts share."""
        return msgspec.json.encode(
            {
                "firstName": self.first,
                "lastName": self.last,
                "dateOfBirth": self.born.isoformat(),
                "nino": self.nino,
            }
        )

    def __repr__(self) -> str:
        """Name the struct only (I9)."""
        return "<Person>"


class Matcher(Protocol):
    """One of HMRC's contracts for a match."""

    method: str

    async def match(self, person: Person, correlation_id: str | None) -> Evidence:
        """Return on what the match rests.

        Raises:
            NoMatch: HMRC knows nobody like that.
            Deceased: they have died.
            AnotherPerson: the answer is about somebody else.
            UpstreamFailure: there is no answer that could be used.
        """


def described(facts: ClaimedFacts, nino: str) -> Person:
    """Return the person whom *facts* describe: the first given name, and all family names.

    Raises:
        ValueError: a name cannot be written in the letters that HMRC takes, or is too long.
    """
    given = facts.given_name.split()
    return Person(
        first=written(given[0] if given else ""),
        last=written(" ".join(facts.family_name.split())),
        born=facts.date_of_birth,
        nino=nino,
    )


def written(name: str) -> str:
    """Return *name* in HMRC's letters: marks are dropped, and other letters spelt out.

    Raises:
        ValueError: that cannot be done; whoever was asked about a wrong name would not be found.
    """
    parts = unicodedata.normalize("NFKD", name.translate(_LETTERS))
    plain = "".join(letter for letter in parts if not unicodedata.combining(letter))
    if not plain or len(plain) > LONGEST_NAME or not _ALLOWED.issuperset(plain):
        raise ValueError("a name that HMRC cannot write")
    return plain

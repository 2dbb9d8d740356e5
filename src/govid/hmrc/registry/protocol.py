"""What govid asks of HMRC."""

from enum import StrEnum
from typing import Protocol


class Outcome(StrEnum):
    """What HMRC says of a number. `withheld`: it knows, and does not tell."""

    MATCH = "match"
    MISMATCH = "mismatch"
    DECEASED = "deceased"
    WITHHELD = "withheld"


class NinoVerifier(Protocol):
    """Knows who holds a National Insurance number."""

    async def verify(self, nino: str) -> Outcome:
        """Look *nino* up.

        Raises:
            Outage: HMRC is away; nothing is decided.
        """

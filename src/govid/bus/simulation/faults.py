"""Which calls of a simulator go wrong, and how."""

import random
from enum import StrEnum
from typing import Self

import msgspec


class Fault(StrEnum):
    """What a simulator can do instead of answering."""

    TOO_MANY = "429"
    AWAY = "503"
    TIMEOUT = "timeout"
    SLOW = "slow"
    MALFORMED = "malformed"
    RESET = "reset"
    GIANT = "giant"
    WRONG_TYPE = "wrong-type"
    PERSONAL_DATA = "personal-data"
    OTHER_PERSON = "other-person"


class Share(msgspec.Struct, frozen=True):
    """One fault, and the share of the calls that meet it."""

    fault: Fault
    share: float

    @classmethod
    def read(cls, text: str) -> Self:
        """Return the share that *text* names: `503`, or `503:0.2` for every fifth call.

        Raises:
            ValueError: there is no such fault, or the share is not between 0 and 1.
        """
        name, _, part = text.partition(":")
        share = float(part) if part else 1.0
        if not 0 <= share <= 1:
            raise ValueError("the share of a fault is a number between 0 and 1")
        return cls(Fault(name), share)


class Faults:
    """The faults of one simulated port. They can be changed while it runs."""

    def __init__(self, text: str = "", *, seed: int = 0) -> None:
        """Begin with the fault that *text* names, or with none; *seed* makes a run repeatable."""
        self._dice = random.Random(seed)  # noqa: S311 - a die, no secret
        self._share: Share | None = None
        self.set(text)

    def set(self, text: str) -> None:
        """Change what goes wrong; an empty *text* ends it.

        Raises:
            ValueError: *text* names no fault.
        """
        self._share = Share.read(text) if text else None

    def draw(self) -> Fault | None:
        """Return what goes wrong with the next call, if anything does."""
        share = self._share
        if share is None or self._dice.random() >= share.share:
            return None
        return share.fault

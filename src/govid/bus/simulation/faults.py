"""Injects faults into a simulator: which calls fail, and how."""

import random
from enum import StrEnum
from typing import Self

import msgspec


class InjectedFault(StrEnum):
    """A fault that a simulator can inject in place of its answer."""

    TOO_MANY_REQUESTS = "429"
    UNAVAILABLE = "503"
    TIMEOUT = "timeout"
    SLOW = "slow"
    MALFORMED = "malformed"
    RESET = "reset"
    GIANT = "giant"
    WRONG_TYPE = "wrong-type"
    PERSONAL_DATA = "personal-data"
    OTHER_PERSON = "other-person"


class FaultRate(msgspec.Struct, frozen=True):
    """One fault, and the share of calls that it affects."""

    fault: InjectedFault
    rate: float

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse *text*: `503`, or `503:0.2` for about every fifth call.

        Raises:
            ValueError: there is no such fault, or the share is not between 0 and 1.
        """
        name, _, part = text.partition(":")
        share = float(part) if part else 1.0
        if not 0 <= share <= 1:
            raise ValueError("the share of a fault is a number between 0 and 1")
        return cls(InjectedFault(name), share)


class FaultInjector:
    """Decides which fault the next call of one simulator gets. Can be changed while it runs."""

    def __init__(self, text: str = "", *, seed: int = 0) -> None:
        """Start with the fault that *text* names, if any; *seed* makes a run repeatable."""
        self._random = random.Random(seed)  # noqa: S311 - not a secret
        self._fault_rate: FaultRate | None = None
        self.set(text)

    def set(self, text: str) -> None:
        """Set the fault to inject; an empty *text* ends it.

        Raises:
            ValueError: *text* names no fault.
        """
        self._fault_rate = FaultRate.parse(text) if text else None

    def next(self) -> InjectedFault | None:
        """Return the fault to inject into the next call, if any."""
        share = self._fault_rate
        if share is None or self._random.random() >= share.rate:
            return None
        return share.fault

"""Locks that make a hundred failures for one name: somebody means it, and an operator hears.

None of the locks is a day after the one before. A right password in between ends a row of failures,
and no row of locks.

Source: NIST SP 800-63B, 3.2.2. It asks for an end of such guessing. Here locks make it slow, and
none is for good: whoever knows an address could lock its owner out.
"""

import logging
from collections.abc import Iterable
from functools import partial
from math import ceil

from prometheus_client import CollectorRegistry, Counter

from govid.bus import Transaction

log = logging.getLogger(__name__)

FAILURES = 100


class Sieges:
    """Counts locks of one name, none a day after the one before, each after as many failures."""

    def __init__(
        self,
        failures: int,
        registry: CollectorRegistry | None = None,
        flows: Iterable[str] = (),
    ) -> None:
        """Begin a lock after so many *failures*; count on *registry*, or where nobody looks.

        The series of *flows* begin at 0: an alarm sees no increase in a series that appears.
        """
        self._locks = ceil(FAILURES / failures)
        self._counter = Counter(
            "govid_sieges",
            "Names whose locks, none a day after the one before, make a hundred failures.",
            ["flow"],
            registry=registry or CollectorRegistry(),
        )
        for flow in flows:
            self._counter.labels(flow)

    def locked(self, tx: Transaction, flow: str, subject: str, nth: int) -> None:
        """Hear of the *nth* lock of *subject*, a pseudonym, none a day after the one before."""
        if nth % self._locks == 0:
            tx.after_commit(partial(self._tell, flow, subject))

    def _tell(self, flow: str, subject: str) -> None:
        self._counter.labels(flow).inc()
        log.warning("throttle.siege", extra={"flow": flow, "subject": subject})

"""A hundred failures in a row for one name: somebody means this one, and an operator hears of it.

Source: NIST SP 800-63B, 3.2.2. It asks for an end of such guessing. Here locks make it slow, and
none is for good: whoever knows an address could lock its owner out.
"""

import logging
from functools import partial
from math import ceil

from prometheus_client import CollectorRegistry, Counter

from govid.bus import Transaction

log = logging.getLogger(__name__)

FAILURES = 100


class Sieges:
    """Counts locks that follow each other within a day, each after as many failures."""

    def __init__(self, failures: int, registry: CollectorRegistry | None = None) -> None:
        """Begin a lock after so many *failures*; count on *registry*, or where nobody looks."""
        self._locks = ceil(FAILURES / failures)
        self._counter = Counter(
            "govid_sieges",
            "Names for which a hundred attempts in a row have failed, and for each hundred more.",
            ["flow"],
            registry=registry or CollectorRegistry(),
        )

    def locked(self, tx: Transaction, flow: str, subject: str, nth: int) -> None:
        """Hear of the *nth* lock in a row of *subject*, a pseudonym."""
        if nth % self._locks == 0:
            tx.after_commit(partial(self._tell, flow, subject))

    def _tell(self, flow: str, subject: str) -> None:
        self._counter.labels(flow).inc()
        log.warning("throttle.siege", extra={"flow": flow, "subject": subject})

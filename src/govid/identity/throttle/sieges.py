"""Brute-force alarm: reports an account name whose lockouts amount to 100 failed attempts.

Lockouts are counted together if each starts within a day of the previous one. A right password
resets the number of failures, but not the number of lockouts.

Source: NIST SP 800-63B, 3.2.2, which requires a limit on consecutive failures. Here lockouts slow
guessing down, and none is permanent: otherwise anyone who knows an address could lock the account
holder out permanently.
"""

import logging
from collections.abc import Iterable
from functools import partial
from math import ceil

from prometheus_client import CollectorRegistry, Counter

from govid.bus import Transaction

log = logging.getLogger(__name__)

FAILURES_PER_ALARM = 100


class BruteForceAlarm:
    """Counts lockouts of one account name and raises the brute-force alarm."""

    def __init__(
        self,
        failures: int,
        registry: CollectorRegistry | None = None,
        flows: Iterable[str] = (),
    ) -> None:
        """Expect a lockout after each *failures*; without *registry*, the metric is not exposed.

        The series of *flows* start at 0, because an alerting rule sees no increase in a series
        that has just appeared.
        """
        self._lockouts_per_alarm = ceil(FAILURES_PER_ALARM / failures)
        self._counter = Counter(
            "govid_sieges",
            "Brute-force alarms: account names with lockouts that amount to 100 failures.",
            ["flow"],
            registry=registry or CollectorRegistry(),
        )
        for flow in flows:
            self._counter.labels(flow)

    def on_lockout(self, tx: Transaction, flow: str, subject: str, nth: int) -> None:
        """Count the *nth* lockout of *subject*, a pseudonym, and report every 100 failures."""
        if nth % self._lockouts_per_alarm == 0:
            tx.after_commit(partial(self._report, flow, subject))

    def _report(self, flow: str, subject: str) -> None:
        self._counter.labels(flow).inc()
        log.warning("throttle.siege", extra={"flow": flow, "subject": subject})

"""Deletes what somebody began and never brought back: nothing rests on when that happens."""

from govid.bus import PeriodicWorker
from govid.hmrc.repository import ConsentRequests

PERIOD_SECONDS = 60.0


class Housekeeping:
    """The worker that keeps HMRC's tables in order; several replicas may do so at once."""

    def __init__(self, requests: ConsentRequests) -> None:
        """Tidy *requests*."""
        self._requests = requests

    async def run(self) -> None:
        """Tidy now and every minute, until cancelled."""
        await PeriodicWorker(
            self._requests.tidy,
            PERIOD_SECONDS,
            failure_event="housekeeping.failed",
            failure_members={"operation": "consent requests"},
        ).run()

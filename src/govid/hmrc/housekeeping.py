"""Deletes expired consent requests periodically. No rule depends on when that happens."""

from govid.bus import PeriodicWorker
from govid.hmrc.repository import ConsentRequestRepository

PERIOD_SECONDS = 60.0


class ConsentRequestCleanup:
    """The worker that deletes expired consent requests; several replicas may run it at once."""

    def __init__(self, requests: ConsentRequestRepository) -> None:
        """Delete from *requests*."""
        self._requests = requests

    async def run(self) -> None:
        """Run now and every minute, until cancelled."""
        await PeriodicWorker(
            self._requests.delete_expired,
            PERIOD_SECONDS,
            failure_event="housekeeping.failed",
            failure_members={"operation": "consent requests"},
        ).run()

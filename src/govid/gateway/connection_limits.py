"""How many client connections one process holds, in all and from one network."""

import resource
from collections import Counter as Tally
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge

from govid.gateway.addresses import Proxies
from govid.identity import network_of

RESERVED_FILES = 100
"""File descriptors that are kept for the database, Kafka, departments and log files."""
LINGERING = 50
"""How many refused connections may wait at a time for their client to read the refusal."""
END_REASONS = (
    "too_many",
    "too_many_of_network",
    "write_stalled",
    "write_slow",
    "head_timeout",
    "head_too_large",
    "unread_body",
    "malformed",
)


class ConnectionLimits:
    """Counts the connections of one process and decides whether another one is admitted."""

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        total: int,
        per_network: int,
        exempt: Iterable[str] = (),
    ) -> None:
        """Admit *total* connections, and *per_network* from one network.

        Networks of *exempt* (CIDRs) are trusted proxies. They connect for many clients and count
        in the total only. *total* never exceeds what the limit of open files leaves.
        """
        self.total = min(total, max(1, _open_files() - RESERVED_FILES))
        self.per_network = per_network
        self._exempt = Proxies(exempt)
        self._held: Tally[str] = Tally()
        self._count = 0
        self._lingering = 0
        Gauge(
            "govid_connections", "Connections of clients that are open.", registry=registry
        ).set_function(lambda: self._count)
        self._ended = Counter(
            "govid_connections_ended",
            "Connections that govid ended, by the reason; the ordinary end is not counted.",
            ["reason"],
            registry=registry,
        )
        for reason in END_REASONS:
            # At 0 from the start: an alarm sees no increase in a series that appears.
            self._ended.labels(reason)

    def admit(self, address: str | None) -> bool:
        """Count a connection from *address*, unless there are too many; say whether it may stay."""
        network = self._network(address)
        if self._count >= self.total:
            self.note_end("too_many")
            return False
        if network and self._held[network] >= self.per_network:
            self.note_end("too_many_of_network")
            return False
        self._count += 1
        if network:
            self._held[network] += 1
        return True

    def release(self, address: str | None) -> None:
        """Count an admitted connection from *address* no more."""
        self._count -= 1
        if network := self._network(address):
            self._held[network] -= 1
            if not self._held[network]:
                del self._held[network]

    def begin_lingering(self) -> bool:
        """Tell whether a refused connection may wait until its client has read the refusal."""
        if self._lingering >= LINGERING:
            return False
        self._lingering += 1
        return True

    def end_lingering(self) -> None:
        """Note that such a connection has gone."""
        self._lingering -= 1

    def note_end(self, reason: str) -> None:
        """Count a connection that govid ended for *reason*."""
        self._ended.labels(reason).inc()

    def _network(self, address: str | None) -> str | None:
        """Return what *address* is counted under, or None if only the total applies."""
        if address is None or self._exempt.include(address):
            return None
        return network_of(address)


def _open_files() -> int:
    """Return the number of files that this process may hold open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 2**31 if soft == resource.RLIM_INFINITY else soft

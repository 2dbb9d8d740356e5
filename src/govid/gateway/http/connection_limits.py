"""Limits the client connections of one process, in total and per network."""

import resource
from collections import Counter as Tally
from collections.abc import Callable, Iterable
from typing import TypeGuard

from prometheus_client import CollectorRegistry, Counter, Gauge

from govid.gateway.http.hosts import TrustedProxies
from govid.identity import client_network

RESERVED_FILES = 100
"""File descriptors reserved for the database, Kafka, departments and log files."""
MAX_LINGERING = 50
"""How many refused connections may stay open at a time until their client has read the answer."""
END_REASONS = (
    "too_many",
    "too_many_of_network",
    "evicted",
    "write_stalled",
    "write_slow",
    "head_timeout",
    "head_too_large",
    "unread_body",
    "malformed",
)


class ConnectionSlot:
    """The slot of one accepted connection, held until it is released or evicted."""

    __slots__ = ("evict", "network")

    def __init__(self, network: str | None, evict: Callable[[], None]) -> None:
        """Occupy a slot of *network*, None if only the total applies; *evict* closes it."""
        self.network = network
        self.evict = evict


class ConnectionLimits:
    """Counts the connections of one process and decides whether another one is accepted.

    When all slots are occupied, a new connection gets the slot of one that serves no request, from
    the network that holds the most slots. So a few networks cannot keep all others out.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        total: int,
        per_network: int,
        exempt: Iterable[str] = (),
        evicts_within_network: bool = False,
    ) -> None:
        """Accept *total* connections, and *per_network* from one network.

        Networks of *exempt* (CIDRs) are trusted proxies. They connect for many clients and count
        in the total only. *total* is reduced to the limit of open files less `RESERVED_FILES`.
        With *evicts_within_network* a connection of a network that has all its slots gets the one
        that has waited longest, instead of a refusal.
        """
        self.total = min(total, max(1, _open_files() - RESERVED_FILES))
        self.per_network = per_network
        self._exempt = TrustedProxies(exempt)
        self._evicts_within_network = evicts_within_network
        self._slot_counts: Tally[str] = Tally()
        self._waiting: dict[str, dict[ConnectionSlot, None]] = {}
        """Slots of connections that serve no request, by network, the longest waiting first."""
        self._sizes: dict[int, dict[str, None]] = {}
        """Networks with such a slot, by the number of slots they hold. There are few different
        numbers (at most 44 for 1,000 connections), so the largest is found quickly."""
        self._count = 0
        self._lingering = 0
        Gauge("govid_connections", "Open connections of clients.", registry=registry).set_function(
            lambda: self._count
        )
        self._ended = Counter(
            "govid_connections_ended",
            "Connections that govid closed, by reason; an ordinary close is not counted.",
            ["reason"],
            registry=registry,
        )
        for reason in END_REASONS:
            # Starts at 0: an alert sees no increase in a series that has just appeared.
            self._ended.labels(reason)

    def acquire_slot(self, address: str | None, evict: Callable[[], None]) -> ConnectionSlot | None:
        """Return a slot for a connection from *address*, or None if there are too many.

        The connection counts as waiting for a request. *evict* is called when another connection
        gets its slot, which is released by then.
        """
        network = self._network(address)
        if self._evicts_within_network and self._is_full(network) and network in self._waiting:
            self._evict_longest_waiting(network)
        if self._count >= self.total and not self._evict_for(network):
            self.count_end("too_many")
            return None
        if self._is_full(network):
            self.count_end("too_many_of_network")
            return None
        slot = ConnectionSlot(network, evict)
        self._count += 1
        if network:
            self._resize(network, 1)
        self.mark_waiting(slot)
        return slot

    def release_slot(self, slot: ConnectionSlot) -> None:
        """Free *slot*."""
        self.mark_serving(slot)
        self._count -= 1
        if slot.network:
            self._resize(slot.network, -1)

    def mark_waiting(self, slot: ConnectionSlot) -> None:
        """Note that the connection of *slot* serves no request, so that it may be evicted."""
        network = slot.network
        if network is None:
            return
        if network not in self._waiting:
            self._waiting[network] = {}
            self._index_network(network)
        self._waiting[network][slot] = None

    def mark_serving(self, slot: ConnectionSlot) -> None:
        """Note that the connection of *slot* serves a request, so that it is not evicted."""
        network = slot.network
        if network is None or slot not in self._waiting.get(network, ()):
            return
        del self._waiting[network][slot]
        if not self._waiting[network]:
            self._unindex_network(network)
            del self._waiting[network]

    def begin_lingering(self) -> bool:
        """Return whether a refused connection may stay open until its answer is read."""
        if self._lingering >= MAX_LINGERING:
            return False
        self._lingering += 1
        return True

    def end_lingering(self) -> None:
        """Note that such a connection has ended."""
        self._lingering -= 1

    def count_end(self, reason: str) -> None:
        """Count a connection that govid closed for *reason*."""
        self._ended.labels(reason).inc()

    def _evict_for(self, network: str | None) -> bool:
        """Evict a connection of the network with most slots, unless *network* would hold as many.

        A trusted proxy is never evicted itself; it gets a slot of any network that holds two.
        """
        wanted = 1 if network is None else self._slot_counts[network] + 1
        largest = max(self._sizes, default=0)
        if largest <= wanted:
            return False
        self._evict_longest_waiting(next(iter(self._sizes[largest])))
        return True

    def _evict_longest_waiting(self, network: str) -> None:
        slot = next(iter(self._waiting[network]))
        self.release_slot(slot)
        self.count_end("evicted")
        slot.evict()

    def _is_full(self, network: str | None) -> TypeGuard[str]:
        """Return whether *network* has as many slots as one network may have."""
        return network is not None and self._slot_counts[network] >= self.per_network

    def _resize(self, network: str, change: int) -> None:
        """Change the number of slots of *network* by *change*."""
        is_waiting = network in self._waiting
        if is_waiting:
            self._unindex_network(network)
        self._slot_counts[network] += change
        if is_waiting:
            self._index_network(network)
        if not self._slot_counts[network]:
            del self._slot_counts[network]

    def _index_network(self, network: str) -> None:
        self._sizes.setdefault(self._slot_counts[network], {})[network] = None

    def _unindex_network(self, network: str) -> None:
        size = self._slot_counts[network]
        del self._sizes[size][network]
        if not self._sizes[size]:
            del self._sizes[size]

    def _network(self, address: str | None) -> str | None:
        """Return the network under which *address* is counted, None if only the total applies."""
        if address is None or self._exempt.contains(address):
            return None
        return client_network(address)


def _open_files() -> int:
    """Return the number of files that this process may hold open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 2**31 if soft == resource.RLIM_INFINITY else soft

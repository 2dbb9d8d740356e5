"""Checks the `Host` header of each request against an exact list of allowed host names.

govid does not use Litestar's check, in which a name is a pattern that includes the port.
"""

import re
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from functools import lru_cache

from govid.gateway.exchange import RequestInfo
from govid.gateway.limits import LimitExceeded

ANY_HOST = "*"
PROBE_PATHS = frozenset({"/health", "/health/live", "/health/ready", "/health/startup"})
"""Paths that are answered under any host name: probes call a process by its current address."""

_NAME = r"\[[0-9a-f:.]{2,45}\]|[a-z0-9](?:[a-z0-9._-]{0,251}[a-z0-9])?"
_HOST = re.compile(rf"(?P<name>{_NAME})(?::(?P<port>[0-9]{{1,5}}))?")
_CACHED_HOSTS = 64


class AllowedHosts:
    """The host names under which one process answers."""

    def __init__(self, names: Sequence[str], probe_paths: AbstractSet[str] = PROBE_PATHS) -> None:
        """Allow *names*; the paths *probed* are answered under any name.

        A name allows every port, because the proxy in front of govid decides about ports. A name
        with a port (`id.example:8443`) allows that port only. `*`, or no names at all, allows any
        host.
        """
        self._probed = probe_paths
        self._any = not names or ANY_HOST in names
        self._names = frozenset(name.lower() for name in names)
        self._allows = lru_cache(maxsize=_CACHED_HOSTS)(self._is_allowed)

    def check(self, info: RequestInfo) -> None:
        """Check that the request is addressed to an allowed host.

        Raises:
            LimitExceeded: 400, `Host` is missing, malformed or given twice; 421, it is not allowed.
        """
        if info.path in self._probed:
            return
        if info.host is None:
            raise LimitExceeded(400)
        if not self._allows(info.host):
            raise LimitExceeded(421)

    def _is_allowed(self, host: bytes) -> bool:
        found = _HOST.fullmatch(host.decode("latin-1").lower())
        if found is None:
            raise LimitExceeded(400)
        return self._any or not self._names.isdisjoint((found["name"], found[0]))


def is_host(text: str) -> bool:
    """Tell whether *text* is a valid entry of the list: a name or address, with or without port."""
    return text == ANY_HOST or _HOST.fullmatch(text.lower()) is not None

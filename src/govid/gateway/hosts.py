"""By which names govid may be called: an exact list, against a `Host` that somebody made up.

govid's own, not Litestar's: there a name is a pattern, and compared together with the port.
"""

import re
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from functools import lru_cache

from govid.gateway.exchange import Exchange
from govid.gateway.limits import Refused

ANY = "*"
PROBED = frozenset({"/health", "/health/live", "/health/ready", "/health/startup"})
"""Answered under any name: what watches over a process calls it by its address of the moment."""

_NAME = r"\[[0-9a-f:.]{2,45}\]|[a-z0-9](?:[a-z0-9._-]{0,251}[a-z0-9])?"
_HOST = re.compile(rf"(?P<name>{_NAME})(?::(?P<port>[0-9]{{1,5}}))?")
_REMEMBERED = 64


class Hosts:
    """The names of one process."""

    def __init__(self, names: Sequence[str], probed: AbstractSet[str] = PROBED) -> None:
        """Answer to *names*, and on the paths *probed* to any name.

        A name admits every port, because what stands in front of govid decides about ports; with a
        port (`id.example:8443`) it admits that one only. `*`, or no names at all, admits any name.
        """
        self._probed = probed
        self._any = not names or ANY in names
        self._names = frozenset(name.lower() for name in names)
        self._admits = lru_cache(maxsize=_REMEMBERED)(self._judge)

    def check(self, exchange: Exchange) -> None:
        """Refuse a request that is not meant for us.

        Raises:
            Refused: 400, `Host` is missing, malformed or given twice; 421, it names another.
        """
        if exchange.path in self._probed:
            return
        if exchange.host is None:
            raise Refused(400)
        if not self._admits(exchange.host):
            raise Refused(421)

    def _judge(self, host: bytes) -> bool:
        found = _HOST.fullmatch(host.decode("latin-1").lower())
        if found is None:
            raise Refused(400)
        return self._any or not self._names.isdisjoint((found["name"], found[0]))


def is_host(text: str) -> bool:
    """Tell whether *text* may stand on the list: a name or address, with a port or without."""
    return text == ANY or _HOST.fullmatch(text.lower()) is not None

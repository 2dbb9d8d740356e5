"""The face that every module shows to the house."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec

from govid.bus.consumers import Consumer


class Module(msgspec.Struct, frozen=True, kw_only=True):
    """A module, built and ready to be plugged in.

    `routes` are the web framework's routers (the bus does not know which); `consumers` are its
    subscribers; `starts` are awaited once before the server is ready, with the database open;
    `tasks` run beside the server from when it is ready until it stops, when they are cancelled;
    `drains` are awaited when no request runs any more, while everything can still be reached;
    `stops` are awaited when nothing runs any more. `states` say how what the module depends on is,
    each in a word for `/health`.
    """

    name: str
    routes: Sequence[object] = ()
    consumers: Sequence[Consumer] = ()
    starts: Sequence[Callable[[], Awaitable[None]]] = ()
    tasks: Sequence[Callable[[], Awaitable[None]]] = ()
    drains: Sequence[Callable[[], Awaitable[None]]] = ()
    stops: Sequence[Callable[[], Awaitable[None]]] = ()
    states: Mapping[str, Callable[[], str]] = {}

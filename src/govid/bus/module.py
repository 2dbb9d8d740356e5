"""Defines what a department's module hands to the gateway."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec

from govid.bus.delivery.subscriptions import Subscriber


class Module(msgspec.Struct, frozen=True, kw_only=True):
    """A built module: its routes, subscribers, lifecycle hooks and dependency states.

    `routes` are routers of the web framework, which the bus does not know. `starts` are awaited
    once before the server is ready, with the database open. `tasks` run beside the server from
    when it is ready until it stops, when they are cancelled. `drains` are awaited after the last
    request, while the database and the departments are still reachable. `stops` are awaited last.
    `states` return the state of each dependency of the module, as `/health` shows it.
    """

    name: str
    routes: Sequence[object] = ()
    subscribers: Sequence[Subscriber] = ()
    starts: Sequence[Callable[[], Awaitable[None]]] = ()
    tasks: Sequence[Callable[[], Awaitable[None]]] = ()
    drains: Sequence[Callable[[], Awaitable[None]]] = ()
    stops: Sequence[Callable[[], Awaitable[None]]] = ()
    states: Mapping[str, Callable[[], str]] = {}

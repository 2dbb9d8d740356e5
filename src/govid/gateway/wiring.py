"""The object graph of one process, in reading order: what is built from what."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import msgspec
from litestar.di import Provide
from litestar.types import Scope
from prometheus_client import CollectorRegistry

from govid import hmrc, identity, nhs
from govid.bus import Actor, Cause, Clock, Module, Principal, SystemClock
from govid.bus.contracts import AccessDecided, RequestReceived
from govid.bus.runtime import Bus
from govid.bus.upstream import UpstreamMetrics
from govid.gateway.exchange import exchange_of
from govid.gateway.guards import Gatekeeper
from govid.gateway.health import Health
from govid.gateway.rehearsal import Simulator
from govid.gateway.settings import Settings


class House(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that one process of govid consists of, built and not yet started."""

    clock: Clock
    registry: CollectorRegistry
    bus: Bus
    logs: "BusLogs"
    modules: Sequence[Module]
    people: identity.Identity
    gatekeeper: Gatekeeper
    health: Health
    simulators: Mapping[str, Simulator]
    """What stands in for departments in this process, by their names."""


class BusLogs:
    """The bus's log topics, which exist once the bus has started."""

    def __init__(self, bus: Bus) -> None:
        """Pass everything on to *bus*."""
        self._bus = bus

    def activity(self, event: RequestReceived) -> None:
        """Tell that a request came in, or was answered."""
        self._bus.logs.activity(event)

    def access(self, event: AccessDecided) -> None:
        """Tell what was decided."""
        self._bus.logs.access(event)


def build(settings: Settings, clock: Clock | None = None) -> House:
    """Build the house for *settings*; nothing connects and nothing runs yet."""
    clock = clock or SystemClock()
    registry = CollectorRegistry()
    bus = Bus(settings.bus, clock, registry)
    logs = BusLogs(bus)

    people = identity.build(
        settings.identity,
        bus.database,
        bus.uow,
        clock,
        departments={
            "nhs": nhs.Records(bus.database),
            "hmrc": hmrc.Records(
                bus.database, settings.hmrc.sealing_key, *settings.hmrc.old_sealing_keys
            ),
        },
        registry=registry,
    )
    calls = UpstreamMetrics(registry)
    simulators: dict[str, Simulator] = {}
    modules = (
        people.module,
        nhs.build(
            settings.nhs,
            bus.database,
            bus.uow,
            clock,
            calls,
            people.facts,
            bus.recovered,
            partial(simulators.__setitem__, "nhs"),
            people.verified,
        ),
        hmrc.build(
            settings.hmrc,
            bus.database,
            bus.uow,
            clock,
            calls,
            people.facts,
            bus.recovered,
            partial(simulators.__setitem__, "hmrc"),
        ),
    )
    for module in modules:
        bus.add(module)

    return House(
        clock=clock,
        registry=registry,
        bus=bus,
        logs=logs,
        modules=modules,
        people=people,
        gatekeeper=Gatekeeper(people.authenticate, logs, clock),
        health=Health(
            bus.database,
            bus.health,
            clock,
            handles=lambda: bus.rounds.is_ready,
            reports_durability=settings.allow_unsafe_database,
            departments={
                name: state for module in modules for name, state in module.states.items()
            },
        ),
        simulators=simulators,
    )


def principal_of(scope: Scope) -> Principal:
    """Return who calls; the guard has put them there."""
    principal: Principal = scope["user"]
    return principal


def cause_of(scope: Scope) -> Cause:
    """Return why everything happens that this request sets off."""
    exchange = exchange_of(scope)
    if exchange.user_id is None:
        return Cause(
            correlation_id=exchange.correlation_id,
            traceparent=exchange.traceparent,
            address=exchange.client_ip,
        )
    return Cause(
        correlation_id=exchange.correlation_id,
        traceparent=exchange.traceparent,
        actor=Actor(kind="account", id=exchange.user_id),
        witness=exchange.witness,
        address=exchange.client_ip,
    )


def dependencies() -> dict[str, Any]:
    """Return what every handler may ask for by name."""
    return {
        "principal": Provide(principal_of, sync_to_thread=False),
        "cause": Provide(cause_of, sync_to_thread=False),
    }

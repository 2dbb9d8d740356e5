"""Composition root: builds the components of one process and connects them."""

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
    """The components of one process of govid, built but not started."""

    clock: Clock
    registry: CollectorRegistry
    bus: Bus
    logs: "BusLogs"
    modules: Sequence[Module]
    people: identity.Identity
    gatekeeper: Gatekeeper
    health: Health
    simulators: Mapping[str, Simulator]
    """The simulated departments of this process, by name."""


class BusLogs:
    """Publishes to the bus's log topics, which exist only after the bus has started."""

    def __init__(self, bus: Bus) -> None:
        """Forward all events to *bus*."""
        self._bus = bus

    def activity(self, event: RequestReceived) -> None:
        """Publish that a request was received or finished."""
        self._bus.logs.activity(event)

    def access(self, event: AccessDecided) -> None:
        """Publish an access decision."""
        self._bus.logs.access(event)


def build(settings: Settings, clock: Clock | None = None) -> House:
    """Build all components for *settings*; nothing connects and nothing runs yet."""
    clock = clock or SystemClock()
    registry = CollectorRegistry()
    bus = Bus(settings.bus, clock, registry)
    logs = BusLogs(bus)

    identity_services = identity.build(
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
    upstream_metrics = UpstreamMetrics(registry)
    simulators: dict[str, Simulator] = {}
    modules = (
        identity_services.module,
        nhs.build(
            settings.nhs,
            bus.database,
            bus.uow,
            clock,
            upstream_metrics,
            identity_services.facts,
            bus.recovered,
            partial(simulators.__setitem__, "nhs"),
            identity_services.verified,
        ),
        hmrc.build(
            settings.hmrc,
            bus.database,
            bus.uow,
            clock,
            upstream_metrics,
            identity_services.facts,
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
        people=identity_services,
        gatekeeper=Gatekeeper(identity_services.authenticate, logs, clock),
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
    """Return the caller, whom the guard has stored in *scope*."""
    principal: Principal = scope["user"]
    return principal


def cause_of(scope: Scope) -> Cause:
    """Return the operation context of everything that this request causes."""
    info = exchange_of(scope)
    if info.user_id is None:
        return Cause(
            correlation_id=info.correlation_id,
            traceparent=info.traceparent,
            address=info.client_ip,
        )
    return Cause(
        correlation_id=info.correlation_id,
        traceparent=info.traceparent,
        actor=Actor(kind="account", id=info.user_id),
        witness=info.deferred_access_event,
        address=info.client_ip,
    )


def dependencies() -> dict[str, Any]:
    """Return the dependencies that every handler can declare by name."""
    return {
        "principal": Provide(principal_of, sync_to_thread=False),
        "cause": Provide(cause_of, sync_to_thread=False),
    }

"""Composition root: builds the components of one process and connects them."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import msgspec
from litestar.di import Provide
from litestar.types import Scope
from prometheus_client import CollectorRegistry

from govid import hmrc, identity, nhs
from govid.bus import Actor, Clock, Module, OperationContext, Principal, SystemClock
from govid.bus.events import AccessDecided, RequestReceived
from govid.bus.runtime import Bus
from govid.bus.upstream import UpstreamMetrics
from govid.gateway.dev.simulator_control import SimulatorControl
from govid.gateway.endpoints.health import HealthProbe
from govid.gateway.http.authentication import AuthenticationGuard
from govid.gateway.http.draining import ConnectionDrain
from govid.gateway.http.request_info import get_request_info
from govid.gateway.settings import Settings


class Components(msgspec.Struct, frozen=True, kw_only=True):
    """The components of one process of govid, built but not started."""

    clock: Clock
    registry: CollectorRegistry
    bus: Bus
    logs: "DeferredLogTopics"
    modules: Sequence[Module]
    identity_services: identity.Identity
    authentication_guard: AuthenticationGuard
    health: HealthProbe
    drain: ConnectionDrain
    simulators: Mapping[str, SimulatorControl]
    """The simulated departments of this process, by name."""


class DeferredLogTopics:
    """Publishes to the bus's log topics, which exist only after the bus has started."""

    def __init__(self, bus: Bus) -> None:
        """Forward all events to *bus*."""
        self._bus = bus

    def publish_activity(self, event: RequestReceived) -> None:
        """Publish that a request was received or finished."""
        self._bus.log_topics.publish_activity(event)

    def publish_access(self, event: AccessDecided) -> None:
        """Publish an access decision."""
        self._bus.log_topics.publish_access(event)


def assemble_components(settings: Settings, clock: Clock | None = None) -> Components:
    """Build all components for *settings*; nothing connects and nothing runs yet."""
    clock = clock or SystemClock()
    registry = CollectorRegistry()
    bus = Bus(settings.bus, clock, registry)
    logs = DeferredLogTopics(bus)

    identity_services = identity.build(
        settings.identity,
        bus.database,
        bus.uow,
        clock,
        departments={
            "nhs": nhs.DataExportSource(bus.database),
            "hmrc": hmrc.DataExportSource(
                bus.database, settings.hmrc.encryption_key, *settings.hmrc.old_encryption_keys
            ),
        },
        audit=settings.bus.audit,
        registry=registry,
    )
    upstream_metrics = UpstreamMetrics(registry)
    # `govid dev` has no load balancer, and ends at once.
    drain = ConnectionDrain(0 if settings.demonstration else settings.drain_seconds)
    simulators: dict[str, SimulatorControl] = {}
    modules = (
        identity_services.module,
        nhs.build(
            settings.nhs,
            bus.database,
            bus.uow,
            clock,
            upstream_metrics,
            identity_services.claimed_facts,
            bus.on_recovered,
            partial(simulators.__setitem__, "nhs"),
            identity_services.verified_identifiers,
        ),
        hmrc.build(
            settings.hmrc,
            bus.database,
            bus.uow,
            clock,
            upstream_metrics,
            identity_services.claimed_facts,
            bus.on_recovered,
            partial(simulators.__setitem__, "hmrc"),
        ),
    )
    for module in modules:
        bus.add_module(module)

    return Components(
        clock=clock,
        registry=registry,
        bus=bus,
        logs=logs,
        modules=modules,
        identity_services=identity_services,
        authentication_guard=AuthenticationGuard(identity_services.authenticate, logs, clock),
        health=HealthProbe(
            bus.database,
            bus.health,
            clock,
            is_handling_events=lambda: bus.dispatcher_health.is_ready,
            is_draining=lambda: drain.is_draining,
            bus_details=bus.describe,
            reports_durability=settings.allow_unsafe_database,
            departments={
                name: state for module in modules for name, state in module.states.items()
            },
        ),
        drain=drain,
        simulators=simulators,
    )


def get_principal(scope: Scope) -> Principal:
    """Return the caller, whom the guard has stored in *scope*."""
    principal: Principal = scope["user"]
    return principal


def get_operation_context(scope: Scope) -> OperationContext:
    """Return the operation context of everything that this request causes."""
    info = get_request_info(scope)
    if info.user_id is None:
        return OperationContext(
            correlation_id=info.correlation_id,
            traceparent=info.traceparent,
            client_address=info.client_ip,
        )
    return OperationContext(
        correlation_id=info.correlation_id,
        traceparent=info.traceparent,
        actor=Actor(kind="account", id=info.user_id),
        deferred_event=info.deferred_access_event,
        client_address=info.client_ip,
    )


def handler_dependencies() -> dict[str, Any]:
    """Return the dependencies that every handler can declare by name."""
    return {
        "principal": Provide(get_principal, sync_to_thread=False),
        "context": Provide(get_operation_context, sync_to_thread=False),
    }

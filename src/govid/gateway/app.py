"""The ASGI application: the same for `govid dev` and `govid serve`."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from litestar import Litestar
from litestar.exceptions import HTTPException

from govid.bus.storage.supervision import supervise
from govid.gateway import (
    asyncapi,
    health,
    inbox,
    management,
    metrics,
    openapi,
    rehearsal,
    welcome,
    wiring,
)
from govid.gateway.body import StrictRequest
from govid.gateway.connection_limits import ConnectionLimits
from govid.gateway.edge import Edge
from govid.gateway.garbage_collection import CollectionPauses, keep_pauses_short
from govid.gateway.guards import unguarded
from govid.gateway.hosts import PROBED
from govid.gateway.limits import BODY_BYTES
from govid.gateway.logging import configure
from govid.gateway.problems import respond
from govid.gateway.settings import Settings
from govid.gateway.wiring import House


def create_app(settings: Settings) -> Edge:
    """Return govid as an ASGI application; its lifespan starts and stops everything.

    Raises:
        RuntimeError: a route has neither a permission nor a reason to be public (I8).
        ValueError: the settings of a module contradict each other.
    """
    writer, requests = configure(settings.log_level, settings.log_format)
    house = wiring.build(settings)
    scrape = metrics.Scrape(house.registry, house.bus.measure)
    pauses = CollectionPauses(house.registry)
    app = Litestar(
        route_handlers=[
            welcome.welcome,
            openapi.openapi,
            asyncapi.page(),
            health.router(house.health),
            *_metrics(settings, scrape),
            *_inbox(settings),
            *_rehearsal(settings, house),
            *_routes(house),
        ],
        dependencies=wiring.dependencies(),
        guards=[house.gatekeeper.guard],
        request_class=StrictRequest,
        exception_handlers={HTTPException: respond, Exception: respond},
        openapi_config=openapi.configuration(),
        lifespan=[
            lambda _: _running(house),
            lambda _: _managed(settings, scrape),
            lambda _: _collected(pauses),
        ],
        on_startup=[openapi.prepare],
        on_shutdown=[writer.flush],
        request_max_body_size=BODY_BYTES,
        logging_config=None,
        debug=False,
    )
    if bare := unguarded(app.routes):
        raise RuntimeError(f"routes without a permission or `public`: {', '.join(bare)}")
    return Edge(
        app,
        logs=house.logs,
        requests=requests,
        counts=metrics.HttpMetrics(house.registry),
        limits=ConnectionLimits(
            house.registry,
            total=settings.max_connections,
            per_network=settings.max_connections_per_network,
            exempt=settings.trusted_proxies,
        ),
        clock=house.clock,
        methods={route.path_format: route.methods for route in app.routes},
        hosts=settings.allowed_hosts,
        probed=PROBED if settings.demonstration else PROBED | {"/metrics"},
        proxies=settings.trusted_proxies,
        cors_origins=settings.cors_origins,
        https=settings.public_url.startswith("https:"),
    )


@asynccontextmanager
async def _running(house: House) -> AsyncIterator[None]:
    """Start the bus, then the modules; run their tasks; stop in the opposite order."""
    await house.bus.start()
    try:
        for module in house.modules:
            for start in module.starts:
                await start()
        async with _beside(house.modules):
            yield
    finally:
        # What requests that were given up have left under way needs the database.
        for module in house.modules:
            for drain in module.drains:
                await drain()
        await house.bus.stop()
        # Last: a handler at work may still wait for a department's answer.
        for module in house.modules:
            for stop in module.stops:
                await stop()


@asynccontextmanager
async def _beside(modules: Any) -> AsyncIterator[None]:
    """Run the modules' tasks for the length of a block."""
    tasks = [
        asyncio.create_task(supervise(module.name, task))
        for module in modules
        for task in module.tasks
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task


def _routes(house: House) -> list[Any]:
    """Return the modules' routers, which the bus's `Module` holds as objects of any kind."""
    return [route for module in house.modules for route in module.routes]


@asynccontextmanager
async def _managed(settings: Settings, scrape: metrics.Scrape) -> AsyncIterator[None]:
    """Keep the management port open for the length of a block, if there is one."""
    if settings.management_port is None:
        yield
        return
    async with management.listening(settings.management_host, settings.management_port, scrape):
        yield


@asynccontextmanager
async def _collected(pauses: CollectionPauses) -> AsyncIterator[None]:
    """Keep the garbage collector from long pauses, now that everything has started."""
    with keep_pauses_short(pauses):
        yield


def _metrics(settings: Settings, scrape: metrics.Scrape) -> list[Any]:
    """Return the page of metrics, if the service's port has it.

    A demonstration has it for all. Production has it behind its token, unless it has a management
    port.
    """
    if settings.demonstration:
        return [metrics.page(scrape)]
    if settings.management_port is None and settings.metrics_token:
        return [metrics.page(scrape, settings.metrics_token)]
    return []


def _inbox(settings: Settings) -> list[Any]:
    """Return the pages that show a demonstration's mail; nothing else has any."""
    folder = settings.identity.mail.folder
    return [inbox.router(folder)] if settings.demonstration and folder is not None else []


def _rehearsal(settings: Settings, house: House) -> list[Any]:
    """Return how a demonstration changes its simulators; nobody else's may be changed."""
    return [rehearsal.router(house.simulators)] if settings.demonstration else []

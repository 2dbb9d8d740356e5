"""Builds the ASGI application, the same for `govid dev` and `govid serve`."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from litestar import Litestar
from litestar.exceptions import HTTPException

from govid.bus.kafka.errors import TlsFilesInvalid
from govid.bus.kafka.tls import build_tls_context
from govid.bus.storage.workers import supervise_worker
from govid.gateway import wiring
from govid.gateway.dev import mailbox, simulator_control
from govid.gateway.endpoints import health, management, metrics, openapi, root
from govid.gateway.garbage_collection import GcPauseHistogram, shorten_gc_pauses
from govid.gateway.http.authentication import find_unguarded_routes
from govid.gateway.http.connection_limits import ConnectionLimits
from govid.gateway.http.edge import EdgeMiddleware
from govid.gateway.http.hosts import PROBE_PATHS
from govid.gateway.http.json_body import StrictRequest
from govid.gateway.http.limits import MAX_BODY_BYTES
from govid.gateway.http.problems import handle_error
from govid.gateway.logging import change_level, configure_logging
from govid.gateway.settings import REREAD_FILES, Settings, SettingsError, SettingsReloader
from govid.gateway.wiring import Components


def create_app(settings: Settings, reloader: SettingsReloader | None = None) -> EdgeMiddleware:
    """Return govid as an ASGI application; its lifespan starts and stops all components.

    Components subscribe to *reloader* for the settings that they can change while running.

    Raises:
        RuntimeError: a route has neither a permission nor a reason to be public (I8).
        ValueError: the settings of a module contradict each other.
    """
    log_writer, request_log = configure_logging(settings.log_level, settings.log_format)
    components = wiring.assemble_components(settings)
    if reloader is not None:
        reloader.on_reload(
            {"GOVID_LOG_LEVEL"}, lambda changed: change_level(changed.log_level, request_log)
        )
        reloader.on_reload(REREAD_FILES, partial(check_kafka_files, settings))
    scrape = metrics.MetricsScrape(components.registry, components.bus.refresh_gauges)
    pauses = GcPauseHistogram(components.registry)
    app = Litestar(
        route_handlers=[
            root.welcome,
            openapi.openapi,
            root.build_asyncapi_route(),
            health.build_health_router(components.health),
            *_metrics_routes(settings, scrape),
            *_mailbox_routes(settings),
            *_simulator_routes(settings, components),
            *_module_routes(components),
        ],
        dependencies=wiring.handler_dependencies(),
        guards=[components.authentication_guard.check],
        request_class=StrictRequest,
        exception_handlers={HTTPException: handle_error, Exception: handle_error},
        openapi_config=openapi.build_openapi_config(),
        lifespan=[
            lambda _: _run_components(components),
            lambda _: _serve_management_port(settings, scrape, components.health),
            lambda _: _short_gc_pauses(pauses),
        ],
        on_startup=[openapi.prepare_document],
        on_shutdown=[log_writer.flush],
        request_max_body_size=MAX_BODY_BYTES,
        logging_config=None,
        debug=False,
    )
    if unguarded := find_unguarded_routes(app.routes):
        raise RuntimeError(f"routes without a permission or `public`: {', '.join(unguarded)}")
    return EdgeMiddleware(
        app,
        logs=components.logs,
        request_log=request_log,
        metrics=metrics.HttpMetrics(components.registry),
        limits=ConnectionLimits(
            components.registry,
            total=settings.max_connections,
            per_network=settings.max_connections_per_network,
            exempt=settings.trusted_proxies,
        ),
        clock=components.clock,
        methods={route.path_format: route.methods for route in app.routes},
        hosts=settings.allowed_hosts,
        probe_paths=PROBE_PATHS if settings.demonstration else PROBE_PATHS | {"/metrics"},
        proxies=settings.trusted_proxies,
        cors_origins=settings.cors_origins,
        uses_https=settings.public_url.startswith("https:"),
        drain=components.drain,
    )


@asynccontextmanager
async def _run_components(components: Components) -> AsyncIterator[None]:
    """Start the bus, then the modules, and run their tasks; stop in the opposite order."""
    await components.bus.start()
    try:
        for module in components.modules:
            for start in module.starts:
                await start()
        async with _run_module_tasks(components.modules):
            yield
    finally:
        # Work that aborted requests have left running still needs the database.
        for module in components.modules:
            for drain in module.drains:
                await drain()
        await components.bus.stop()
        # Last, because a running handler may still wait for a department's answer.
        for module in components.modules:
            for stop in module.stops:
                await stop()


@asynccontextmanager
async def _run_module_tasks(modules: Any) -> AsyncIterator[None]:
    """Run the modules' background tasks while the block runs."""
    tasks = [
        asyncio.create_task(supervise_worker(module.name, task))
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


def _module_routes(components: Components) -> list[Any]:
    """Return the modules' routers, which the bus's `Module` stores without their type."""
    return [route for module in components.modules for route in module.routes]


async def check_kafka_files(settings: Settings, changed: Settings) -> None:
    """Check that only the contents of files differ, and that the clients of Kafka can use them.

    The clients read the files again by themselves, and keep the earlier ones if they cannot.

    Raises:
        SettingsError: a value or the path of a file differs, or a file cannot be used.
    """
    security = changed.bus.kafka_security
    if security != settings.bus.kafka_security:
        raise SettingsError(["a value or the path of a file has changed: restart govid"])
    if security.is_encrypted:
        try:
            await asyncio.to_thread(build_tls_context, security)
        except TlsFilesInvalid as error:
            raise SettingsError([f"{error}; the earlier certificates stay in force"]) from error


@asynccontextmanager
async def _serve_management_port(
    settings: Settings, scrape: metrics.MetricsScrape, probe: health.HealthProbe
) -> AsyncIterator[None]:
    """Serve the management port while the block runs, if one is configured."""
    if settings.management_port is None:
        yield
        return
    async with management.serve_management_port(
        settings.management_host, settings.management_port, scrape, probe
    ):
        yield


@asynccontextmanager
async def _short_gc_pauses(pauses: GcPauseHistogram) -> AsyncIterator[None]:
    """Shorten the garbage collector's pauses; entered last, when everything has started."""
    with shorten_gc_pauses(pauses):
        yield


def _metrics_routes(settings: Settings, scrape: metrics.MetricsScrape) -> list[Any]:
    """Return the route `/metrics`, if the service's port serves it.

    `govid dev` serves it without a token. `govid serve` requires the token, and serves it here only
    if there is no management port.
    """
    if settings.demonstration:
        return [metrics.build_metrics_route(scrape)]
    if settings.management_port is None and settings.metrics_token:
        return [metrics.build_metrics_route(scrape, settings.metrics_token)]
    return []


def _mailbox_routes(settings: Settings) -> list[Any]:
    """Return the pages that show the e-mails of `govid dev`; `govid serve` has none."""
    folder = settings.identity.mail.folder
    return (
        [mailbox.build_mailbox_router(folder)]
        if settings.demonstration and folder is not None
        else []
    )


def _simulator_routes(settings: Settings, components: Components) -> list[Any]:
    """Return the routes that control the simulators of `govid dev`; `govid serve` has none."""
    return (
        [simulator_control.build_simulator_router(components.simulators)]
        if settings.demonstration
        else []
    )

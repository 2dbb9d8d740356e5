"""Reports liveness, readiness and the state of each dependency. States only, no addresses.

Without Kafka the status is `degraded` and no worse, because the outbox keeps the events until Kafka
is back. Only without its database can govid not serve.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from time import monotonic
from typing import Any, Generic, Literal, TypeVar

import msgspec
from litestar import Response, Router, get
from litestar.di import NamedDependency, Provide
from litestar.openapi.datastructures import ResponseSpec

from govid import __version__
from govid.bus import Clock, Database
from govid.bus.runtime import BusDetails
from govid.bus.storage.connection import IS_READ_ONLY
from govid.bus.storage.schema_check import SchemaCheck
from govid.bus.storage.workers import DATABASE_UNAVAILABLE
from govid.gateway.schema_version import head_revision, read_version

_Result = TypeVar("_Result")

ALIVE = {"status": "ok"}
"""The answer of a live process."""
PROBE_SECONDS = 1.0
"""Timeout of a probe of the database, and how long its result is cached."""

_DATABASE_DETAILS = """
    SELECT current_user::text AS role,
           CASE WHEN pg_is_in_recovery() THEN 'standby' ELSE 'primary' END AS mode,
           current_setting('server_version') AS server_version
"""
_MIGRATION_STATES = {"behind": "not migrated", "ahead": "newer than this release"}


class HealthView(msgspec.Struct, frozen=True, kw_only=True):
    """The state of govid. `dependencies` holds a state for each name: ok, connecting, down, ...

    The database is `read-only` while it is a standby or accepts no writes for another reason.
    """

    status: Literal["ok", "degraded"]
    service: str = "govid"
    timestamp: datetime
    dependencies: Mapping[str, str]


class DatabaseDetails(msgspec.Struct, frozen=True, kw_only=True):
    """What operators see of the database; only `expected_schema` if it does not answer."""

    role: str | None = None
    """The role that govid connects as."""
    mode: Literal["primary", "standby"] | None = None
    server_version: str | None = None
    schema: str | None = None
    """The number of the last migration of the database."""
    expected_schema: str
    """The number of the last migration of this release."""


class HealthDetailsView(HealthView, frozen=True, kw_only=True):
    """The state of govid with the details that only the management port shows."""

    version: str
    database: DatabaseDetails
    bus: BusDetails | None


class _SharedResult(Generic[_Result]):
    """The result of queries that callers share for `PROBE_SECONDS`, so none can flood a server."""

    def __init__(self, query: Callable[[], Awaitable[_Result]]) -> None:
        """Query nothing yet."""
        self._query = query
        self._querying = asyncio.Lock()
        self._cached: tuple[_Result, float] | None = None

    async def fetch(self) -> _Result:
        """Return the cached result; query if there is none, or it is too old."""
        async with self._querying:
            if self._cached is None or monotonic() - self._cached[1] > PROBE_SECONDS:
                self._cached = (await self._query(), monotonic())
            return self._cached[0]


class HealthProbe:
    """Health probe: asks each dependency for its state."""

    def __init__(
        self,
        database: Database,
        bus_states: Callable[[], Mapping[str, str]],
        clock: Clock,
        *,
        departments: Mapping[str, Callable[[], str]],
        is_handling_events: Callable[[], bool] = lambda: True,
        is_draining: Callable[[], bool] = lambda: False,
        bus_details: Callable[[], BusDetails | None] = lambda: None,
        reports_durability: bool = False,
    ) -> None:
        """Probe *database*; *departments* and *bus_states* return the states of the others."""
        self._database = database
        self._bus_states = bus_states
        self._clock = clock
        self._departments = departments
        self.is_handling_events = is_handling_events
        """Returns whether events are being handled, short interruptions ignored."""
        self._is_draining = is_draining
        self._bus_details = bus_details
        self._expected_schema = head_revision()
        self._reports_durability = reports_durability
        self._durability = "ok"
        self._schema = SchemaCheck()
        self._database_state = _SharedResult(self._check_database)
        self._database_details = _SharedResult(self._describe_database)

    async def check(self) -> HealthView:
        """Return the state of all dependencies."""
        departments = {name: state() for name, state in self._departments.items()}
        states = {
            "database": await self._database_state.fetch(),
            **self._bus_states(),
            **departments,
        }
        if self._reports_durability:
            states["durability"] = self._durability
        healthy = {"ok", "simulator", "off", "unsafe"}
        return HealthView(
            status="ok" if healthy.issuperset(states.values()) else "degraded",
            timestamp=self._clock.now(),
            dependencies=states,
        )

    async def check_readiness(self) -> tuple[HealthView, bool]:
        """Return the state of all dependencies, and whether this process is ready for requests.

        A process that is about to stop has the additional state `server: draining`.
        """
        view = await self.check()
        states = view.dependencies
        if self._is_draining():
            drained = {**states, "server": "draining"}
            return msgspec.structs.replace(view, status="degraded", dependencies=drained), False
        serves = states["database"] == "ok" and states.get("dispatcher") in {"ok", "failing"}
        return view, serves and self.is_handling_events()

    async def check_details(self) -> HealthDetailsView:
        """Return the state of all dependencies, with the details behind it."""
        view = await self.check()
        return HealthDetailsView(
            **msgspec.structs.asdict(view),
            version=__version__,
            database=await self._database_details.fetch(),
            bus=self._bus_details(),
        )

    async def _describe_database(self) -> DatabaseDetails:
        expected = self._expected_schema
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                row = await self._database.reads.fetchrow(_DATABASE_DETAILS)
                schema = await read_version(self._database.reads)
        except (*DATABASE_UNAVAILABLE, RuntimeError):
            return DatabaseDetails(expected_schema=expected)
        return DatabaseDetails(**row, schema=schema.revision, expected_schema=expected)

    async def _check_database(self) -> str:
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                if await self._database.reads.fetchval(IS_READ_ONLY):
                    # The next probe opens a new connection, which may reach the new primary.
                    self._database.generation.end()
                    return "read-only"
                if self._reports_durability:
                    fsync = await self._database.reads.fetchval("SHOW fsync")
                    self._durability = "ok" if fsync == "on" else "unsafe"
                version = await read_version(self._database.reads)
                if version.state != "fits":
                    return _MIGRATION_STATES[version.state]
                return "ok" if await self._schema.is_intact(self._database.reads) else "drifted"
        except (*DATABASE_UNAVAILABLE, RuntimeError):
            return "down"


def health_status(view: HealthView) -> int:
    """Return the status of the answer that has *view*: 503 if govid cannot serve."""
    return 503 if view.dependencies["database"] == "down" else 200


_UNAVAILABLE_RESPONSE = ResponseSpec(
    HealthView, description="Not able to serve.", generate_examples=False
)


@get(
    "/",
    public="orchestrators have no token, and operators may have none during an outage",
    summary="Get the state of govid and its dependencies",
    responses={503: _UNAVAILABLE_RESPONSE},
)
async def health(probe: NamedDependency[HealthProbe]) -> Response[HealthView]:
    """Return 503 only if govid cannot serve, that is, if its database is unavailable."""
    view = await probe.check()
    return Response(view, status_code=health_status(view))


@get(
    "/ready",
    public="orchestrators have no token",
    summary="Get whether this process is ready for requests",
    responses={503: _UNAVAILABLE_RESPONSE},
)
async def ready(probe: NamedDependency[HealthProbe]) -> Response[HealthView]:
    """Return 200 if the database answers, is migrated, and events are being handled.

    Return 503 also while the process is about to stop.
    """
    view, is_ready = await probe.check_readiness()
    return Response(view, status_code=200 if is_ready else 503)


@get(
    ["/live", "/startup"],
    public="orchestrators have no token",
    summary="Get whether the process is alive",
    sync_to_thread=False,
)
def live() -> dict[str, str]:
    """Answer 200: nothing is served before the start is complete."""
    return dict(ALIVE)


def build_health_router(probe: HealthProbe) -> Router:
    """Return the health routes."""
    dependencies: dict[str, Any] = {"probe": Provide(lambda: probe, sync_to_thread=False)}
    return Router(
        "/health",
        route_handlers=[health, ready, live],
        dependencies=dependencies,
        tags=["machine pages"],
    )

"""A department whose answers a test controls."""

from collections.abc import AsyncIterator, Callable

import pytest
from prometheus_client import CollectorRegistry

from govid.bus.upstream import (
    Department,
    RequestPolicy,
    UpstreamClient,
    UpstreamMetrics,
    UpstreamRequest,
)

Opened = Callable[..., UpstreamClient]


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
async def department(registry: CollectorRegistry) -> AsyncIterator[Department]:
    department = Department("nhs", metrics=UpstreamMetrics(registry))
    yield department
    await department.close()


@pytest.fixture
def opened(department: Department) -> Opened:
    """Return how an API at a URL is opened, with a policy that does not keep tests waiting."""

    def api(url: str, **limits: float) -> UpstreamClient:
        swift: dict[str, float] = {"first_backoff_seconds": 0.001, "total_seconds": 5}
        return department.create_client("pds", url, RequestPolicy(**{**swift, **limits}))  # type: ignore[arg-type]

    return api


@pytest.fixture
def call() -> UpstreamRequest:
    return UpstreamRequest(
        operation="patient.read",
        method="GET",
        route="/Patient/{nhsNumber}",
        path="/Patient/9434765919",
        headers={"X-Request-ID": "60e0b220-8136-4ca5-ae46-1d97ef59d068"},
        repeatable=True,
    )


@pytest.fixture
def once(call: UpstreamRequest) -> UpstreamRequest:
    """Return a call that may not be repeated."""
    return UpstreamRequest(
        operation="match", method="POST", route="/match", path="/match", body=b"{}"
    )

"""Fixtures of both departments' contract tests: a clock that moves, and plain clients."""

import ssl
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry

from govid.bus.upstream import Department, RequestPolicy, UpstreamMetrics
from govid.nhs.simulator import ClientKey
from tests.departments.clock import MovingClock
from tests.departments.verification_contracts import Connect, VerificationContract

QUICK = RequestPolicy(total_seconds=2, first_backoff_seconds=0.001)


@pytest.fixture
def clock() -> MovingClock:
    return MovingClock()


@pytest.fixture(scope="session")
def certificates() -> ssl.SSLContext:
    """Return the machine's authorities, read once for all tests: there are many."""
    return ssl.create_default_context()


@pytest.fixture
async def http(certificates: ssl.SSLContext) -> AsyncIterator[Any]:
    """Yield a function that opens plain HTTP clients, which use no code of govid's clients."""
    clients: list[httpx.AsyncClient] = []

    def opened(target: Any) -> httpx.AsyncClient:
        client = httpx.AsyncClient(transport=target.transport, trust_env=False, verify=certificates)
        clients.append(client)
        return client

    yield opened
    for client in clients:
        await client.aclose()


@pytest.fixture(scope="session")
def client_key() -> ClientKey:
    """Return one key for all tests: making one takes a while."""
    return ClientKey()


@pytest.fixture
def counted() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
async def connect(counted: CollectorRegistry) -> AsyncIterator[Connect]:
    """Yield a function that builds the verifier of a contract at a target."""
    departments: list[Department] = []
    metrics = UpstreamMetrics(counted)

    def to(
        contract: VerificationContract,
        target: Any,
        policy: RequestPolicy = QUICK,
        *,
        refuse_simulators: bool = False,
        **changes: Any,
    ) -> Any:
        department = Department(
            contract.department,
            transport=target.transport,
            metrics=metrics,
            refuse_simulators=refuse_simulators,
        )
        departments.append(department)
        return contract.build_verifier(department, target, policy, **changes)

    yield to
    for department in departments:
        await department.close()

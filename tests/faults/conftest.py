"""Backends that a fault may hit: each is used by one test only."""

import os
from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.backends import cluster, kafka


@pytest.fixture(scope="session")
def cluster_server() -> Iterator[str]:
    """Return the URL of a PostgreSQL server with a port and a password."""
    if given := os.environ.get("GOVID_TEST_DATABASE_URL"):
        yield given
        return
    with cluster.server() as url:
        yield url


@pytest.fixture
def cluster_database(cluster_server: str) -> Iterator[str]:
    """Return the URL of an empty database; it is dropped afterwards."""
    name = f"govid_faults_{uuid4().hex[:12]}"
    yield cluster.create(cluster_server, name)
    cluster.drop(cluster_server, name)


@pytest.fixture
def broker() -> Iterator[kafka.Broker]:
    """Return a broker of the test's own, which it may stop and start."""
    try:
        with kafka.own() as own:
            yield own
    except kafka.Unavailable as reason:
        if os.environ.get("GOVID_CI"):
            raise
        pytest.skip(str(reason))

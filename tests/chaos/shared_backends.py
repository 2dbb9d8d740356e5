"""Backends that all runs share: PostgreSQL, Kafka behind a port of ours, and a fork server."""

import multiprocessing
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing.context import ForkServerContext
from typing import NamedTuple

from tests.backends import cluster, kafka, postgres
from tests.backends.ports import free_port


class SharedBackends(NamedTuple):
    """The backends of all runs. Each run has its own database, topics and proxies."""

    server_url: str
    template: str
    broker: kafka.Broker
    kafka_port: int
    """Where clients of the broker's address `behind` are sent: a proxy has to listen there."""
    fork_server: ForkServerContext
    """Forks processes that have imported everything already: a replica starts at once."""


@contextmanager
def shared_backends() -> Iterator[SharedBackends]:
    """Yield the backends; everything is removed afterwards.

    Raises:
        Unavailable: no Kafka can be started.
    """
    with ExitStack() as stack:
        port = free_port()
        broker = kafka.new(proxy=port)
        stack.callback(broker.remove)
        server_url = os.environ.get("GOVID_TEST_DATABASE_URL") or stack.enter_context(
            cluster.server()
        )
        template = postgres.prepare_template(server_url)
        fork_server = multiprocessing.get_context("forkserver")
        fork_server.set_forkserver_preload(["tests.chaos.replica", "tests.chaos.operator_commands"])
        yield SharedBackends(server_url, template, broker, port, fork_server)

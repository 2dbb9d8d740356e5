"""Backends that all runs share: PostgreSQL, Kafka behind a port of ours, and a fork server."""

import multiprocessing
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import NamedTuple

from tests.backends import cluster, kafka, kafka_jars, postgres
from tests.backends.kafka_secured import SecuredBroker
from tests.backends.ports import free_port


class SharedBackends(NamedTuple):
    """The backends of all runs. Each run has its own database, topics and proxies."""

    server_url: str
    template: str
    secured: SecuredBroker
    """The broker. One listener demands TLS, a password and ACLs, another one nothing."""
    kafka_port: int
    """Where clients of the broker's plaintext address are sent: a proxy has to listen there."""
    secured_port: int
    """The same for clients of its secured address."""
    fork_server: ForkServerContext
    """Forks processes that have imported everything already: a replica starts at once."""

    @property
    def broker(self) -> kafka.Broker:
        """The process of the broker, and its addresses without TLS."""
        return self.secured.broker


@contextmanager
def shared_backends() -> Iterator[SharedBackends]:
    """Yield the backends; everything is removed afterwards.

    Raises:
        Unavailable: no Kafka can be started.
    """
    with ExitStack() as stack:
        if why_not := kafka_jars.missing():
            raise kafka.Unavailable(f"no secured Kafka: {why_not}")
        port, secured_port = free_port(), free_port()
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="govid-chaos-")))
        broker = SecuredBroker(folder, open_to_all=False, proxy=secured_port, plaintext_proxy=port)
        stack.callback(broker.remove)
        broker.start()
        server_url = os.environ.get("GOVID_TEST_DATABASE_URL") or stack.enter_context(
            cluster.server()
        )
        template = postgres.prepare_template(server_url)
        fork_server = multiprocessing.get_context("forkserver")
        fork_server.set_forkserver_preload(["tests.chaos.replica", "tests.chaos.operator_commands"])
        yield SharedBackends(server_url, template, broker, port, secured_port, fork_server)

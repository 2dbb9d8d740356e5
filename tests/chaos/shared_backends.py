"""Backends that all runs share: PostgreSQL, Kafka behind a port of ours, and a fork server."""

import multiprocessing
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import NamedTuple

from tests.backends import kafka, kafka_jars
from tests.backends.certificates import CertificateAuthority
from tests.backends.kafka_secured import SecuredBroker
from tests.backends.ports import free_port
from tests.chaos.databases import secured_postgres


class SharedBackends(NamedTuple):
    """The backends of all runs. Each run has its own database, topics and proxies."""

    server_url: str
    """PostgreSQL, as its superuser."""
    authority: CertificateAuthority
    """It issues the certificates of PostgreSQL."""
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
        fork_server = multiprocessing.get_context("forkserver")
        fork_server.set_forkserver_preload(["tests.chaos.replica", "tests.chaos.operator_commands"])
        authority = CertificateAuthority("PostgreSQL")
        server = stack.enter_context(secured_postgres(authority, fork_server))
        yield SharedBackends(server.url(), authority, broker, port, secured_port, fork_server)

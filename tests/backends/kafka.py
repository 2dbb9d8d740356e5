"""A real Apache Kafka for tests: one shared by the run, and others that a test may kill.

`GOVID_TEST_KAFKA` names a server; else Docker starts one, if its daemon answers; else Java and
Maven run one from its jars. `python -m tests.backends.kafka [PORT]` starts one for a person.
"""

import fcntl
import json
import logging
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tests.backends import kafka_docker, kafka_jars

START_SECONDS = 60


class Unavailable(RuntimeError):
    """No Kafka can be had on this machine; the text says why, in one line."""


class Broker(Protocol):
    """A single-node Kafka that keeps its data and its address when it dies and comes back."""

    address: str
    behind: str
    """Another address; clients that ask there are sent to the port of the broker's proxy."""

    def start(self) -> None:
        """Start it, without waiting for it to answer; a running one goes on, thawed."""

    def kill(self) -> None:
        """End it at once, as SIGKILL does."""

    def stop(self) -> None:
        """End it in good order, so that the next start recovers nothing."""

    def freeze(self) -> None:
        """Make it a black hole: connections stay open, nothing answers."""

    def thaw(self) -> None:
        """Let a frozen one go on."""

    def remove(self) -> None:
        """End it and delete its data."""


def new(port: int | None = None, proxy: int | None = None) -> Broker:
    """Start a broker of the caller's own, and wait until it answers.

    *proxy* is the port of a proxy that the caller puts before the broker's address `behind`.

    Raises:
        Unavailable: neither Docker nor Java and Maven can start one here.
    """
    broker: Broker
    if kafka_docker.answers():
        broker = kafka_docker.DockerBroker(port, proxy)
    elif why_not := kafka_jars.missing():
        raise Unavailable(f"no Kafka: GOVID_TEST_KAFKA is not set, no Docker daemon, {why_not}")
    else:
        broker = kafka_jars.JarBroker(port, proxy)
    broker.start()
    wait_until_ready(broker.address)
    return broker


@contextmanager
def own() -> Iterator[Broker]:
    """Yield a broker for this test alone, which it may kill."""
    broker = new()
    try:
        yield broker
    finally:
        broker.remove()


@contextmanager
def shared() -> Iterator[str]:
    """Yield the address of the broker that all workers of this run use.

    The first to come starts it, and waits for the others to leave before it removes it.
    """
    if address := os.environ.get("GOVID_TEST_KAFKA"):
        yield address
        return
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))[:12]
    ledger = Path(tempfile.gettempdir()) / f"govid-kafka-{run}.json"
    broker = None
    with _locked(ledger) as state:
        if "address" not in state:
            broker = new()
            state.update(address=broker.address, users=[])
        state["users"].append(os.getpid())
        address = str(state["address"])
    try:
        yield address
    finally:
        with _locked(ledger) as state:
            state["users"].remove(os.getpid())
        if broker is not None:
            _wait_until_left(ledger)
            broker.remove()
            ledger.unlink()
            ledger.with_suffix(".lock").unlink()


def wait_until_ready(address: str, seconds: float = START_SECONDS) -> None:
    """Return once the broker at *address* tells its metadata."""
    silent = logging.getLogger("govid.tests.librdkafka")
    silent.disabled = True
    client = AdminClient({"bootstrap.servers": address}, logger=silent)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(KafkaException):
            if client.list_topics(timeout=1).brokers:
                return
    raise Unavailable(f"Kafka at {address} did not answer within {seconds:.0f} s")


@contextmanager
def _locked(ledger: Path) -> Iterator[dict[str, Any]]:
    with ledger.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        state = json.loads(ledger.read_text()) if ledger.exists() else {}
        yield state
        ledger.write_text(json.dumps(state))


def _wait_until_left(ledger: Path) -> None:
    while True:
        with _locked(ledger) as state:
            # A worker that crashed never leaves, but its process is gone.
            if not any(Path(f"/proc/{pid}").exists() for pid in state["users"]):
                return
        time.sleep(0.1)


def main() -> None:
    """Run a broker until Ctrl-C or SIGTERM, on the port of the first argument if there is one."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    broker = new(int(sys.argv[1]) if len(sys.argv) > 1 else None)
    sys.stdout.write(f"{broker.address}\n")
    sys.stdout.flush()
    try:
        signal.pause()
    except KeyboardInterrupt:
        broker.remove()


if __name__ == "__main__":
    main()

"""A single-node Apache Kafka in a container."""

import os
import socket
import warnings
from pathlib import Path
from typing import Any

from tests.backends.ports import free_port

IMAGE = "apache/kafka:4.2.0"
SOCKET = Path("/var/run/docker.sock")


def answers() -> bool:
    """Tell whether a Docker daemon listens here."""
    if os.environ.get("DOCKER_HOST"):
        return True
    with socket.socket(socket.AF_UNIX) as probe:
        return SOCKET.exists() and probe.connect_ex(str(SOCKET)) == 0


class DockerBroker:
    """One broker container. It keeps its port, so that it is the same one after a restart."""

    def __init__(self, port: int | None = None, proxy: int | None = None) -> None:
        """Describe a broker on *port*, or on a free one."""
        with warnings.catch_warnings():
            # The library warns about its own modules while it is imported.
            warnings.simplefilter("ignore")
            from testcontainers.core.container import (  # noqa: PLC0415 - only where Docker is
                DockerContainer,
            )

        port, behind = port or free_port(), free_port()
        self.address = f"127.0.0.1:{port}"
        self.behind = f"127.0.0.1:{behind}"
        environment = {
            "KAFKA_NODE_ID": "1",
            "KAFKA_PROCESS_ROLES": "broker,controller",
            "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@127.0.0.1:9093",
            "KAFKA_LISTENERS": (
                "PLAINTEXT://0.0.0.0:9092,BEHIND://0.0.0.0:9094,CONTROLLER://127.0.0.1:9093"
            ),
            "KAFKA_ADVERTISED_LISTENERS": (
                f"PLAINTEXT://{self.address},BEHIND://127.0.0.1:{proxy or behind}"
            ),
            "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
            "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": (
                "PLAINTEXT:PLAINTEXT,BEHIND:PLAINTEXT,CONTROLLER:PLAINTEXT"
            ),
            "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
            "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
            "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
            "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
            "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
        }
        description: Any = DockerContainer(IMAGE)
        description.ports = {
            "9092/tcp": ("127.0.0.1", port),
            "9094/tcp": ("127.0.0.1", behind),
        }
        for name, value in environment.items():
            description = description.with_env(name, value)
        self._description = description
        self._container: Any = None

    def start(self) -> None:
        """Create the container, or start it again after a kill."""
        if self._container is None:
            self._container = self._description.start().get_wrapped_container()
            return
        self._container.reload()
        if self._container.status == "paused":
            self.thaw()
        else:
            self._container.start()

    def kill(self) -> None:
        """End its processes by SIGKILL; its file system stays."""
        self._container.kill()
        self._container.wait(timeout=10)

    def stop(self) -> None:
        """Ask it to end, and wait until it has."""
        self._container.stop(timeout=30)

    def freeze(self) -> None:
        """Pause all its processes."""
        self._container.pause()

    def thaw(self) -> None:
        """Let them go on."""
        self._container.unpause()

    def remove(self) -> None:
        """Delete the container and its data."""
        self._description.stop()

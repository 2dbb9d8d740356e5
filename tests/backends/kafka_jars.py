"""A single-node Apache Kafka (KRaft) from its jars, by the machine's Java and Maven."""

import base64
import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from uuid import uuid4

from tests.backends.ports import free_port

VERSION = "4.2.0"
POM = f"""\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>govid</groupId><artifactId>kafka-for-tests</artifactId><version>1</version>
  <packaging>pom</packaging>
  <dependencies><dependency>
    <groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId>
    <version>{VERSION}</version>
  </dependency></dependencies>
</project>
"""
HEAP = "-Xmx1g"
"""A start needs 160 MB, each topic of a run 25 kB and more for each of its partitions."""
PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners={listeners},BEHIND://127.0.0.1:{behind},CONTROLLER://127.0.0.1:{controller}
advertised.listeners={advertised},BEHIND://127.0.0.1:{proxy}
controller.listener.names=CONTROLLER
listener.security.protocol.map={protocols},BEHIND:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={folder}/data
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=1500
broker.heartbeat.interval.ms=200
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.min.isr=1
"""


def missing() -> str | None:
    """Return which tool this machine lacks, or None if it has them all."""
    needed = ("java",) if _libraries().is_dir() else ("java", "mvn")
    tools = [tool for tool in needed if shutil.which(tool) is None]
    return f"no {' and no '.join(tools)} on PATH" if tools else None


def download() -> Path:
    """Return the folder of Kafka's jars, after downloading them if they are not there yet."""
    libraries = _libraries()
    libraries.parent.mkdir(parents=True, exist_ok=True)
    with libraries.with_name("lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # The folder appears by a rename, so it is whole or not there.
        if not libraries.is_dir():
            with tempfile.TemporaryDirectory(dir=libraries.parent) as draft:
                Path(draft, "pom.xml").write_text(POM)
                subprocess.run(
                    [shutil.which("mvn") or "mvn", "-q", "-B", "dependency:copy-dependencies",
                     "-DoutputDirectory=libs", "-DincludeScope=runtime"],
                    cwd=draft, check=True, timeout=300,
                )  # fmt: skip
                Path(draft, "libs").rename(libraries)
    return libraries


class JarBroker:
    """One broker process, with its folder and its ports."""

    def __init__(
        self,
        port: int | None = None,
        proxy: int | None = None,
        *,
        listeners: Mapping[str, tuple[int, int]] | None = None,
        properties: str = "",
        java_options: Sequence[str] = (),
    ) -> None:
        """Format a folder for a broker on *port*, or on a free one.

        *listeners*, in place of a plaintext one, have for each security protocol the port and the
        port to which clients are sent. *properties* are added to the configuration.
        """
        self._java_options = java_options
        self._libraries = download()
        self._folder = Path(tempfile.mkdtemp(prefix="govid-kafka-"))
        self._process: subprocess.Popen[bytes] | None = None
        port, behind = port or free_port(), free_port()
        listeners = listeners or {"PLAINTEXT": (port, port)}
        self.address = f"127.0.0.1:{port}"
        self.behind = f"127.0.0.1:{behind}"
        self._properties = self._folder / "server.properties"
        self._properties.write_text(
            PROPERTIES.format(
                listeners=_addresses({name: own for name, (own, _) in listeners.items()}),
                advertised=_addresses({name: sent for name, (_, sent) in listeners.items()}),
                protocols=",".join(f"{name}:{name}" for name in listeners),
                behind=behind,
                proxy=proxy or behind,
                controller=free_port(),
                folder=self._folder,
            )
            + properties
        )
        # The first character is fixed: a dash would be taken for an option.
        identity = "g" + base64.urlsafe_b64encode(uuid4().bytes)[1:22].decode()
        subprocess.run(
            [*self._java("kafka.tools.StorageTool"), "format", "-t", identity,
             "-c", str(self._properties)],
            check=True, capture_output=True, timeout=60,
        )  # fmt: skip

    def start(self) -> None:
        """Start the process on its folder; what it had acknowledged is still there."""
        if self._process is not None:
            self.thaw()
            return
        with (self._folder / "kafka.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._java("kafka.Kafka"), str(self._properties)], stdout=log, stderr=log
            )

    def kill(self) -> None:
        """Send SIGKILL and wait for the end."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=10)
            self._process = None

    def stop(self) -> None:
        """Send SIGTERM and wait until the broker has closed its segments."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=30)
            self._process = None

    def segment(self, topic: str, partition: int) -> Path:
        """Return the file of the first records of a partition."""
        return self._folder / "data" / f"{topic}-{partition}" / f"{0:020}.log"

    def freeze(self) -> None:
        """Send SIGSTOP."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Send SIGCONT."""
        self._signal(signal.SIGCONT)

    def remove(self) -> None:
        """Kill it and delete its folder."""
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def _java(self, entry: str) -> list[str]:
        return [
            "java", HEAP, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
            *self._java_options, "-cp", f"{self._libraries}/*", entry,
        ]  # fmt: skip


def _addresses(ports: Mapping[str, int]) -> str:
    return ",".join(f"{name}://127.0.0.1:{port}" for name, port in ports.items())


def _libraries() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "govid" / f"kafka-{VERSION}"

"""Runs the whole application over real HTTP, in a thread of its own."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from govid.gateway.app import create_app
from govid.gateway.http.protocol import LimitedHttpProtocol
from govid.gateway.settings import Settings, load_from_environment
from tests.audit_entries import AUDIT_KEY

READY_SECONDS = 10


def demonstration(database_url: str, folder: Path, **changes: object) -> Settings:
    """Return the settings of a demonstration whose simulated death does not come by itself.

    Nothing listens at Kafka's address, which changes nothing for a client.
    """
    return load_from_environment(
        {
            "GOVID_DATABASE_URL": database_url,
            "GOVID_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
            "GOVID_DATA_DIR": folder,
            "GOVID_PSEUDONYM_KEY": "a key for tests, 32 bytes or more",
            "GOVID_AUDIT_KEY": AUDIT_KEY,
            "GOVID_SIMULATE_DEATH_EVENT": False,
            "GOVID_ARGON2_MEMORY_KIB": 19_456,
            "GOVID_LOG_FORMAT": "json",
            **changes,
        },
        demonstration=True,
        env_file=None,
    )


def production(database_url: str, folder: Path, **changes: object) -> Settings:
    """Return settings as `govid serve` has them, with simulated departments."""
    return load_from_environment(
        {
            "GOVID_DATABASE_URL": database_url,
            "GOVID_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
            "GOVID_KAFKA_ALLOW_PLAINTEXT": True,
            "GOVID_DATA_DIR": folder,
            "GOVID_PSEUDONYM_KEY": "a key for tests, 32 bytes or more",
            "GOVID_AUDIT_KEY": AUDIT_KEY,
            "GOVID_KEY_ENCRYPTION_KEY": "another key for tests, 32 bytes long",
            "GOVID_PUBLIC_URL": "https://id.example",
            "GOVID_ALLOWED_HOSTS": "id.example",
            "GOVID_ALLOW_SIMULATORS": True,
            "GOVID_PATIENT_REGISTRY": "simulator",
            "GOVID_NINO_VERIFIER": "simulator",
            "GOVID_SIMULATE_DEATH_EVENT": False,
            "GOVID_ARGON2_MEMORY_KIB": 19_456,
            "GOVID_LOG_FORMAT": "json",
            **changes,
        },
        env_file=None,
    )


@contextmanager
def serving(settings: Settings, send_buffer: int | None = None) -> Iterator[str]:
    """Serve on a free port; yield the URL.

    *send_buffer* is the size in bytes of the kernel's buffer of each connection.
    """
    with socket.socket() as listener:
        if send_buffer is not None:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        server = uvicorn.Server(
            uvicorn.Config(
                create_app(settings),
                http=LimitedHttpProtocol,
                lifespan="on",
                proxy_headers=False,
                server_header=False,
                access_log=False,
                log_config=None,
                timeout_graceful_shutdown=5,
            )
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        deadline = time.monotonic() + READY_SECONDS
        while not server.started and thread.is_alive() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert server.started
        host, port = listener.getsockname()
        try:
            yield f"http://{host}:{port}"
        finally:
            server.should_exit = True
            thread.join(timeout=READY_SECONDS)
            assert not thread.is_alive()

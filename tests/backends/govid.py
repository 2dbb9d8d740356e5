"""`govid serve` as a process, under the settings of production except for simulated departments."""

import secrets
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.backends.ports import free_port
from tests.backends.processes import Server, pinned

BASE = {
    "GOVID_ALLOW_SIMULATORS": "true",
    # The servers of tests wait for no disk.
    "GOVID_ALLOW_UNSAFE_DATABASE": "true",
    "GOVID_PATIENT_REGISTRY": "simulator",
    "GOVID_NINO_VERIFIER": "simulator",
    "GOVID_KAFKA_ALLOW_PLAINTEXT": "true",
    "GOVID_PUBLIC_URL": "https://govid.example",
    "GOVID_ALLOWED_HOSTS": "127.0.0.1",
    "GOVID_LOG_FORMAT": "json",
    "GOVID_SIMULATE_DEATH_EVENT": "false",
    # No load balancer has to learn that a server of a test stops.
    "GOVID_DRAIN_SECONDS": "0",
    # Crowds register here, and all of them from one address.
    "GOVID_REGISTRATIONS_PER_HOUR": "0",
    # Each person here does in minutes what others do in months.
    "GOVID_QUOTA_PATIENT_RECORDS": "0",
    "GOVID_QUOTA_TAX_RECORDS": "0",
    "GOVID_QUOTA_LIVE_APPOINTMENTS": "0",
    "GOVID_QUOTA_LIVE_APPOINTMENTS_PER_SPECIALTY": "0",
    "GOVID_QUOTA_APPOINTMENT_CHANGES_PER_DAY": "0",
    "GOVID_QUOTA_SLOT_SEARCHES_PER_MINUTE": "0",
    "GOVID_QUOTA_CONSENTS_PER_HOUR": "0",
    "GOVID_QUOTA_VERIFICATIONS_PER_HOUR": "0",
    "GOVID_QUOTA_EXPORTS_PER_HOUR": "0",
    "GOVID_QUOTA_EMAILS_PER_HOUR": "0",
    "GOVID_KEY_ENCRYPTION_KEY": secrets.token_urlsafe(48),
    "GOVID_PSEUDONYM_KEY": secrets.token_urlsafe(48),
    "GOVID_AUDIT_KEY": secrets.token_urlsafe(48),
}
FLOOR_OF_HASHES = {
    "GOVID_ARGON2_TIME_COST": "2",
    "GOVID_ARGON2_MEMORY_KIB": "19456",
    "GOVID_ARGON2_PARALLELISM": "1",
}
"""The cheapest hash that is recommended (OWASP: t=2, m=19 MiB, p=1)."""


class Govid(Server):
    """A govid on a port of its own. `url` is where it answers, `log` what it writes."""

    def __init__(
        self,
        folder: Path,
        *,
        database_url: str,
        kafka: str,
        core: int | None = None,
        extra: Mapping[str, str] | None = None,
        workers: int = 1,
    ) -> None:
        """Describe a server on the backends; its log, and its working directory, is *folder*."""
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.log = folder / f"govid-{port}.log"
        environment = {
            **BASE,
            "GOVID_DATABASE_URL": database_url,
            "GOVID_KAFKA_BOOTSTRAP_SERVERS": kafka,
            "GOVID_PORT": str(port),
            **(extra or {}),
        }
        super().__init__(
            pinned(core, sys.executable, "-m", "govid", "serve", f"--workers={workers}"),
            log=self.log,
            environment=environment,
            ready=f"{self.url}/health/ready",
            folder=folder,
        )

    def migrate(self) -> None:
        """Bring the database to this release, as an operator does before `govid serve`."""
        subprocess.run(
            [sys.executable, "-m", "govid", "migrate"],
            cwd=self.folder,
            env=self.environment,
            check=True,
            capture_output=True,
            timeout=60,
        )

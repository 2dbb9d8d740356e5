"""`govid simulators` as a process: both departments on a port, for a govid in another process."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx

from tests.backends.ports import free_port
from tests.backends.processes import Server


class Simulators(Server):
    """The simulated departments. `url` is where they answer."""

    def __init__(self, folder: Path, *, limits: bool) -> None:
        """Describe a server that keeps its key and its log in *folder*; *limits* are the real."""
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._output = folder / f"simulators-{port}.log"
        super().__init__(
            [sys.executable, "-m", "govid", "simulators", "--port", str(port), "--json"],
            log=self._output,
            environment={
                "GOVID_DATA_DIR": str(folder / "simulators"),
                "GOVID_DEPARTMENT_LIMITS": str(limits),
            },
            ready=f"{self.url}/simulator",
            folder=folder,
        )
        self._limits = limits

    def settings(self, url: str | None = None) -> Mapping[str, str]:
        """Return the settings of a govid that asks these departments, at *url* if it is another."""
        text = self._output.read_text()
        reported = json.loads(text[text.index("{\n") : text.index("\n}\n") + 2])
        found: dict[str, str] = reported["settings"]
        if url is not None:
            found |= dict.fromkeys(("GOVID_NHS_BASE_URL", "GOVID_HMRC_BASE_URL"), url)
        return {
            **found,
            "GOVID_PATIENT_REGISTRY": "remote",
            "GOVID_NINO_VERIFIER": "remote",
            "GOVID_DEPARTMENT_LIMITS": str(self._limits),
        }

    async def fail(self, department: str, fault: str) -> None:
        """Let *department* meet its calls with *fault*; an empty one ends that."""
        async with httpx.AsyncClient(base_url=self.url, trust_env=False) as client:
            answer = await client.put(f"/simulator/{department}/fault", content=fault)
            answer.raise_for_status()

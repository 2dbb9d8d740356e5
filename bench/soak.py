"""A govid at half load for a long time: does memory grow, do objects pile up?

    python -m bench.soak --minutes 30

prints the resident memory and the number of objects that Python's garbage collector tracks, minute
by minute, as JSON; ends with 1 if memory grew by 20 MB or more after the first five minutes.
"""

import argparse
import asyncio
import gc
import json
import runpy
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

import httpx

from bench import wrk
from bench.backends import backends, beside_the_servers, registered
from tests.backends import cluster
from tests.backends.govid import FLOOR_OF_HASHES, Govid
from tests.backends.processes import SERVER_CORE, pinned
from tests.faults.registrants import RegistrationLoad, build_applicants, sign_in

ACCOUNTS = 200
WARM_UP_MINUTES = 5
LARGEST_GROWTH_MB = 20
LOADED_SECONDS = 5
"""Then as long at rest but for those who write: on the whole that is half of what it can."""
NEWCOMERS = 5
GROWING_TYPES = 12
"""How many types of objects are named that there are more of."""
PROFILE = "/api/auth/profile"


class WatchedGovid(Govid):
    """A govid that writes its number of objects into a file when it gets SIGUSR1."""

    def __init__(self, folder: Path, **options: Any) -> None:
        """Describe it."""
        super().__init__(folder, **options)
        self._objects = folder / "objects"
        command = (sys.executable, "-m", "bench.soak", "--serve", self._objects)
        self._command = pinned(SERVER_CORE, *command)
        self.environment["PYTHONPATH"] = str(Path(__file__).parents[1])

    def objects(self) -> Counter[str]:
        """Return how many objects the garbage collector tracks, by type, after a collection."""
        self._objects.unlink(missing_ok=True)
        self.signal(signal.SIGUSR1)
        while not self._objects.exists():
            time.sleep(0.05)
        return Counter(json.loads(self._objects.read_text()))


def serve(objects: Path) -> None:
    """Be `govid serve`, and count objects when asked."""

    def count(_number: int, _frame: FrameType | None) -> None:
        gc.collect()
        types = Counter(type(one).__qualname__ for one in gc.get_objects())
        written = objects.with_suffix(".new")
        written.write_text(json.dumps(types))
        written.rename(objects)

    signal.signal(signal.SIGUSR1, count)
    sys.argv = ["govid", "serve"]
    runpy.run_module("govid", run_name="__main__")


def measure(folder: Path, minutes: int) -> dict[str, Any]:
    """Load for so many *minutes*; return what was seen at the end of each."""
    with beside_the_servers(), backends() as where:
        url = cluster.create(where.postgres, "soak")
        extra = {
            **FLOOR_OF_HASHES,
            "GOVID_PASSWORD_CHECKS": "false",
            # Longer than the run: all requests are to be answered.
            "GOVID_ACCESS_TOKEN_EXPIRE_MINUTES": "600",
        }
        server = WatchedGovid(folder, database_url=url, kafka=where.kafka, extra=extra)
        server.migrate()
        with server:
            tokens = folder / "tokens"
            tokens.write_text("\n".join(registered(server.url, ACCOUNTS)) + "\n")
            rows, types = [], []
            for minute in range(minutes):
                rows.append(_minute(server, tokens, minute))
                types.append(server.objects())
                rows[-1]["objects"] = types[-1].total()
                sys.stderr.write(f"minute {minute + 1}: {rows[-1]}\n")
    warm = min(WARM_UP_MINUTES, minutes - 1) - 1
    settled = rows[warm]
    return {
        "minutes": rows,
        "growing_types": dict((types[-1] - types[warm]).most_common(GROWING_TYPES)),
        "growth_mb": round(rows[-1]["resident_mb"] - settled["resident_mb"], 1),
        "growth_objects": rows[-1]["objects"] - settled["objects"],
        "kafka": where.has_kafka,
    }


def _minute(server: WatchedGovid, tokens: Path, minute: int) -> dict[str, Any]:
    ends_at = time.monotonic() + 60
    requests = 0.0
    turn = 0
    while time.monotonic() < ends_at:
        load = wrk.run(server.url + PROFILE, tokens, LOADED_SECONDS)
        requests += load.requests_per_second * LOADED_SECONDS
        rested_at = time.monotonic() + LOADED_SECONDS
        asyncio.run(_write(server.url, f"soak{minute}x{turn}", minute * 100 + turn))
        turn += 1
        time.sleep(max(0.0, rested_at - time.monotonic()))
    return {
        "resident_mb": round(server.resident_mb(), 1),
        "requests": round(requests),
    }


async def _write(url: str, group: str, number: int) -> None:
    """Let people come who register, sign in, file records, export what is kept, and leave."""
    start = ACCOUNTS + number * NEWCOMERS
    people = build_applicants(NEWCOMERS, group=group, start=start)
    await RegistrationLoad(url, people).register()
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        for one in people:
            headers = await sign_in(client, one.email)
            for method, path, body in (
                ("POST", "/api/nhs/patients", {"name": "A", "nhsNumber": one.identifier_value}),
                ("GET", "/api/nhs/patients", None),
                ("GET", "/api/auth/export", None),
                ("GET", "/api/auth/sessions", None),
                ("POST", "/api/auth/logout", None),
            ):
                await client.request(method, path, json=body, headers=headers)


def main() -> int:
    """Soak as the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=int, default=30)
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve is not None:
        serve(options.serve)
        return 0
    with tempfile.TemporaryDirectory(prefix="govid-soak-") as folder:
        figures = measure(Path(folder), options.minutes)
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")
    return 0 if figures["growth_mb"] < LARGEST_GROWTH_MB else 1


if __name__ == "__main__":
    sys.exit(main())

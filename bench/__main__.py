"""`make bench`: measures what govid promises; JSON on stdout, a table on stderr.

    python -m bench                     everything, as published: about twenty minutes
    python -m bench --only kafka        one part: resources, profile, profile-tls, registration,
                                        logins, timing, emit, handlers, kafka, kafka-tls, idle,
                                        paced, isolation, departments, exports, sizes
    python -m bench --rounds 1 --seconds 2      a quick look; its figures count for nothing

Servers listen on 127.0.0.1 only; nothing is ended but what was started here. Nothing else should
run on the machine meanwhile.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

import govid
from bench import departments, exports, logins, profiles, registrations, resources, sizes, timing
from bench.bus import drains, emits, handlers, isolation, latencies
from bench.numbers import evaluate
from tests.backends.kafka import Unavailable

IDLE_LOAD = 0.5


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--only",
        action="append",
        choices=(
            *("resources", "profile", "profile-tls", "registration", "logins", "timing"),
            *(
                "emit",
                "handlers",
                "kafka",
                "kafka-tls",
                "idle",
                "paced",
                "isolation",
                "departments",
                "exports",
                "sizes",
            ),
        ),
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5, help="length of each round")
    options = parser.parse_args()
    rounds, seconds = options.rounds, options.seconds
    parts: Mapping[str, Callable[[Path], dict[str, Any]]] = {
        "resources": resources.measure,
        "profile": lambda folder: profiles.measure(folder, rounds=rounds, seconds=seconds),
        "profile-tls": lambda folder: profiles.measure_tls(folder, rounds=rounds, seconds=seconds),
        "registration": lambda folder: registrations.measure(folder, seconds=6 * seconds),
        "logins": lambda folder: logins.measure(folder, rounds=rounds, seconds=seconds),
        "timing": lambda folder: timing.measure(folder, rounds=rounds),
        "emit": lambda _: emits.measure(rounds=rounds, seconds=seconds),
        "handlers": lambda _: handlers.measure(rounds=rounds, seconds=seconds),
        "kafka": lambda _: drains.measure(rounds=rounds, seconds=seconds),
        "kafka-tls": lambda _: drains.measure_tls(rounds=rounds, seconds=seconds),
        "idle": lambda _: latencies.measure_idle(rounds=rounds, seconds=seconds),
        "paced": lambda _: latencies.measure_paced(rounds=rounds, seconds=seconds),
        "isolation": lambda _: isolation.measure(rounds=rounds),
        "departments": lambda folder: departments.measure(folder, rounds=rounds, seconds=seconds),
        "exports": lambda folder: exports.measure(folder, seconds=4 * seconds),
        "sizes": sizes.measure,
    }
    results: dict[str, Any] = {"machine": machine()}
    if results["machine"]["load_before"] > IDLE_LOAD:
        print("Something else runs on this machine: the figures will be too bad", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="govid-bench-") as scratch:
        for name in options.only or parts:
            print(f"Measuring: {name}", file=sys.stderr)
            began = time.monotonic()
            folder = Path(scratch) / name
            folder.mkdir()
            try:
                results[name] = parts[name](folder)
            except Unavailable as reason:
                print(f"Left out: {reason}", file=sys.stderr)
            else:
                results[name]["took_seconds"] = round(time.monotonic() - began)
    # Others at work on this machine spoil every figure: two loads tell whether there were any.
    results["machine"]["load_after"] = os.getloadavg()[0]
    results["targets"] = evaluate(results)
    show(results["targets"])
    print(json.dumps(results, indent=2))


def machine() -> dict[str, Any]:
    """Return what the figures depend on."""
    return {
        "govid": govid.__version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "load_before": os.getloadavg()[0],
    }


def show(verdicts: list[dict[str, Any]]) -> None:
    """Draw the table of targets on stderr."""
    table = Table(title="govid, as measured")
    for heading in ("Figure", "Measured", "Target", ""):
        table.add_column(heading)
    for each in verdicts:
        target = f"{each['comparison']} {each['limit']:g}"
        table.add_row(
            each["name"], f"{each['value']:g}", target, "met" if each["met"] else "MISSED"
        )
    Console(stderr=True).print(table)


if __name__ == "__main__":
    main()

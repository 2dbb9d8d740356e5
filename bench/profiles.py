"""`GET /api/auth/profile`: govid as it ships, a minimal application, the prototype before it.

And govid with TLS to PostgreSQL, beside govid without.
"""

import asyncio
import re
import secrets
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

import httpx

from bench import baselines, wrk
from bench.backends import backends, beside_the_servers, govid, registered, tls_backends
from tests.backends import cluster
from tests.backends.govid import FLOOR_OF_HASHES, Govid
from tests.backends.processes import SERVER_CORE

ACCOUNTS = 200
WARM_UP_SECONDS = 2
PATH = "/api/auth/profile"
SCRAPER = secrets.token_urlsafe(32)
FULL_COLLECTIONS = re.compile(
    r'^govid_gc_pause_seconds_bucket\{(?=.*generation="2").*le="([^"]+)".*\} (\S+)$', re.MULTILINE
)


def measure(folder: Path, *, rounds: int, seconds: int) -> dict[str, Any]:
    """Load the three in turn, *rounds* times, *seconds* each; return the medians.

    The servers share one core; wrk, PostgreSQL and Kafka share the other. The hash is at its floor
    because no sign-in is measured with it.
    """
    with ExitStack() as stack:
        stack.enter_context(beside_the_servers())
        where = stack.enter_context(backends())
        database = cluster.create(where.postgres, "rivals")
        tokens = asyncio.run(baselines.populate(database, ACCOUNTS))
        theirs = _file(folder / "tokens-rivals", tokens)
        ours = stack.enter_context(
            govid(
                where,
                folder,
                "govid",
                core=SERVER_CORE,
                extra={**FLOOR_OF_HASHES, "GOVID_METRICS_TOKEN": SCRAPER},
            )
        )
        mine = _file(folder / "tokens-govid", registered(ours.url, ACCOUNTS))
        floor = stack.enter_context(baselines.minimal_app(database, folder, tokens[0]))
        prototype = stack.enter_context(baselines.prototype(database, folder, tokens[0]))
        contestants = {
            "govid": (ours.url + PATH, mine),
            "floor": (floor + PATH, theirs),
            "prototype": (prototype + PATH, theirs),
        }
        for url, file in contestants.values():
            wrk.run(url, file, WARM_UP_SECONDS)
        lines_before = _lines(ours.log)
        loads: dict[str, list[wrk.Load]] = {name: [] for name in contestants}
        for _ in range(rounds):
            for name, (url, file) in contestants.items():
                loads[name].append(wrk.run(url, file, seconds))
        lines = _lines(ours.log) - lines_before
        full, long = _full_collections(ours.url)
    result = {name: _summary(each) for name, each in loads.items()}
    return {
        **result,
        "govid_to_floor": _ratio(result, "govid", "floor"),
        "govid_to_prototype": _ratio(result, "govid", "prototype"),
        "p99_to_floor": round(result["govid"]["p99_ms"] / result["floor"]["p99_ms"], 3),
        "full_collections": full,
        "long_pauses": long,
        "govid_log_lines": lines,
        "kafka": where.has_kafka,
        "rounds": rounds,
        "seconds": seconds,
        "connections": wrk.CONNECTIONS,
        "accounts": ACCOUNTS,
    }


def measure_tls(folder: Path, *, rounds: int, seconds: int) -> dict[str, Any]:
    """Load two servers on one database, without TLS to it and with `verify-full`, in turn.

    Return the medians of *rounds* rounds of *seconds* each. The order changes with each round, so
    that neither always comes second.
    """
    with ExitStack() as stack:
        stack.enter_context(beside_the_servers())
        where, demanded = stack.enter_context(tls_backends(folder))
        database = cluster.create(where.postgres, "govid")
        servers = {
            name: Govid(
                folder,
                database_url=f"{database}?{parameters}",
                kafka=where.kafka,
                core=SERVER_CORE,
                extra=FLOOR_OF_HASHES,
            )
            for name, parameters in (("plaintext", "sslmode=disable"), ("tls", demanded))
        }
        servers["plaintext"].migrate()
        for server in servers.values():
            stack.enter_context(server)
        # Both servers accept the tokens: keys and sessions are in the database.
        tokens = _file(folder / "tokens", registered(servers["plaintext"].url, ACCOUNTS))
        loads: dict[str, list[wrk.Load]] = {name: [] for name in servers}
        for server in servers.values():
            wrk.run(server.url + PATH, tokens, WARM_UP_SECONDS)
        for number in range(rounds):
            for name in sorted(servers, reverse=bool(number % 2)):
                loads[name].append(wrk.run(servers[name].url + PATH, tokens, seconds))
    result = {name: _summary(each) for name, each in loads.items()}
    return {
        **result,
        "to_plaintext": _ratio(result, "tls", "plaintext"),
        "kafka": where.has_kafka,
        "rounds": rounds,
        "seconds": seconds,
        "connections": wrk.CONNECTIONS,
        "accounts": ACCOUNTS,
    }


def _summary(loads: list[wrk.Load]) -> dict[str, Any]:
    return {
        "requests_per_second": round(median(load.requests_per_second for load in loads), 1),
        "p50_ms": round(median(load.p50_ms for load in loads), 2),
        "p99_ms": round(median(load.p99_ms for load in loads), 2),
        "each_round": [round(load.requests_per_second, 1) for load in loads],
    }


def _full_collections(url: str) -> tuple[int, int]:
    """Return how many collections of the oldest generation there were, and how many > 20 ms."""
    scraped = httpx.get(f"{url}/metrics", headers={"Authorization": f"Bearer {SCRAPER}"})
    scraped.raise_for_status()
    counts = {limit: int(float(count)) for limit, count in FULL_COLLECTIONS.findall(scraped.text)}
    return counts["+Inf"], counts["+Inf"] - counts["0.02"]


def _ratio(result: Mapping[str, Mapping[str, Any]], one: str, other: str) -> float:
    rates = [result[name]["requests_per_second"] for name in (one, other)]
    return round(float(rates[0] / rates[1]), 3)


def _file(path: Path, tokens: list[str]) -> Path:
    path.write_text("\n".join(tokens) + "\n")
    return path


def _lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for _ in file)

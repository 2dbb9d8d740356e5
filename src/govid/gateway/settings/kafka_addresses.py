"""Parses the addresses of Kafka, and finds out why none of them can be connected to.

Uses plain TCP connections; the Kafka protocol is not spoken here.
"""

import asyncio
import contextlib
import re
import socket

import msgspec

DEFAULT_PORT = 9092
"""The port that the client uses if an address has none."""
CONNECT_SECONDS = 1
_ADDRESS = re.compile(r"(?:\[(?P<six>[\w:.%]+)\]|(?P<name>[\w.-]+))(?::(?P<port>[0-9]{1,5}))?")
_LARGEST_PORT = 65_535


class KafkaAddress(msgspec.Struct, frozen=True):
    """One server of `GOVID_KAFKA_BOOTSTRAP_SERVERS`."""

    host: str
    port: int

    def __str__(self) -> str:
        """Return the address as it is written in the setting."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def parse_addresses(bootstrap_servers: str) -> list[KafkaAddress]:
    """Return the servers that *bootstrap_servers* names, separated by commas.

    Raises:
        ValueError: one of them is no address. The text of the error does not quote it.
    """
    return [_parse(text) for text in bootstrap_servers.split(",")]


def _parse(text: str) -> KafkaAddress:
    found = _ADDRESS.fullmatch(text.strip())
    if found is None or not 0 < int(found["port"] or DEFAULT_PORT) <= _LARGEST_PORT:
        raise ValueError("a Kafka server is written like kafka.example:9092 or [2001:db8::1]:9092")
    return KafkaAddress(found["six"] or found["name"], int(found["port"] or DEFAULT_PORT))


async def describe_unreachable(bootstrap_servers: str) -> str:
    """Return why Kafka is not available at *bootstrap_servers*, after an attempt has failed."""
    why = await explain_unreachable(bootstrap_servers)
    if why is None:
        return f"what listens at {bootstrap_servers} does not answer as Kafka does"
    return f"no Kafka answers at {why}"


async def explain_unreachable(bootstrap_servers: str) -> str | None:
    """Return for each of *bootstrap_servers* why no connection is possible; None if one is.

    The server at that address need not be Kafka.
    """
    reasons = []
    for address in parse_addresses(bootstrap_servers):
        reason = await _try_connect(address)
        if reason is None:
            return None
        reasons.append(f"{address} ({reason})")
    return ", ".join(reasons)


async def _try_connect(address: KafkaAddress) -> str | None:
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(address.host, address.port)
    except TimeoutError:
        return f"no answer within {CONNECT_SECONDS} s"
    except ConnectionRefusedError:
        return "connection refused"
    except (socket.gaierror, UnicodeError):
        return "its name is not known"
    except OSError:
        # A name with several addresses raises one error for all of them.
        return "no connection"
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return None

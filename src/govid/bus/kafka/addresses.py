"""Parses the addresses of Kafka."""

import re

import msgspec

DEFAULT_PORT = 9092
"""The port that the client uses if an address has none."""
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

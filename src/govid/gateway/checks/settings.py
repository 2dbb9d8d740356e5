"""Finds settings that are valid but unsafe in production.

Its findings are part of the list of `checks/production.py`. It uses neither the database nor Kafka.
"""

import os
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_address, ip_network
from itertools import pairwise
from urllib.parse import urlsplit

from govid.bus.kafka.addresses import parse_addresses
from govid.bus.storage.connection_url import ConnectionUrl, InvalidConnectionUrl, parse_url
from govid.bus.storage.password_file import PasswordFile
from govid.gateway.http.cors import ANY_ORIGIN, normalise_origin
from govid.gateway.settings import Settings

SECRET_BYTES = 32
DISTINCT_BYTES = 8
PUBLISHED_SECRETS = frozenset({b"my_super_secret_jwt_key", b"super-secret-key-for-dev"})
"""Secrets that were published in the prototype's repository."""
_ANY_ADDRESS = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 - compared, not bound
_RUN_SHARE = 0.75
"""A secret is guessable if this share of its bytes counts up or down."""


def unsafe_settings(settings: Settings) -> Iterator[str]:
    """Yield a sentence for each setting that is not safe."""
    yield from secret_problems(settings)
    yield from public_url_problems(settings)
    if ANY_ORIGIN in settings.cors_origins:
        yield "GOVID_CORS_ORIGINS allows any origin"
    yield from invalid_origin_problems(settings)
    yield from _trusted_networks(settings)
    yield from _rate_limits(settings)
    yield from _database_transport(settings)
    if are_ports_shared(settings, settings.management_port):
        yield "GOVID_MANAGEMENT_PORT is GOVID_PORT: give each a port of its own"


def are_ports_shared(settings: Settings, management_port: int | None) -> bool:
    """Tell whether a management port could not be opened beside the port of the service."""
    hosts = {settings.host, settings.management_host}
    overlap = len(hosts) == 1 or hosts & _ANY_ADDRESS
    return bool(overlap) and management_port == settings.port != 0


def secret_problems(settings: Settings) -> Iterator[str]:
    """Check the secrets that are in use; a secret that is not used is ignored.

    An encryption key that is set is always in use, whatever signs tokens: claimed facts and
    consents are encrypted with it.
    """
    in_use = _secrets_in_use(settings)
    for name, secret in in_use.items():
        if not secret:
            yield f"{name} is not set"
        elif secret in PUBLISHED_SECRETS:
            yield f"{name} is a published value"
        elif len(secret) < SECRET_BYTES:
            yield f"{name} is shorter than {SECRET_BYTES} bytes"
        elif is_guessable(secret):
            yield f"{name} is too easy to guess"
    first_use: dict[bytes, str] = {}
    for name, secret in in_use.items():
        first = first_use.setdefault(secret, name)
        if secret and first != name:
            yield f"{name} is the same value as {first}: each secret needs a value of its own"


def is_guessable(secret: bytes) -> bool:
    """Tell whether *secret* has few different bytes, repeats itself, or counts up or down."""
    if len(set(secret)) < DISTINCT_BYTES:
        return True
    if any(secret == (secret[:size] * len(secret))[: len(secret)] for size in _periods(secret)):
        return True
    steps = [after - before for before, after in pairwise(secret)]
    return any(steps.count(step) >= _RUN_SHARE * len(steps) for step in (1, -1))


def _periods(secret: bytes) -> range:
    return range(1, len(secret) // 2 + 1)


def _secrets_in_use(settings: Settings) -> dict[str, bytes]:
    in_use = {
        "GOVID_PSEUDONYM_KEY": settings.bus.pseudonym_key,
        "GOVID_AUDIT_KEY": settings.bus.audit.key,
    }
    signs_by_secret = settings.identity.algorithm == "HS256"
    if signs_by_secret:
        in_use["GOVID_SECRET_KEY"] = settings.identity.secret_key or b""
    if settings.identity.key_encryption_key or not signs_by_secret:
        in_use["GOVID_KEY_ENCRYPTION_KEY"] = settings.identity.key_encryption_key or b""
    if settings.metrics_token is not None and settings.management_port is None:
        in_use["GOVID_METRICS_TOKEN"] = settings.metrics_token
    return in_use


def public_url_problems(settings: Settings) -> Iterator[str]:
    """Check the public URL, which is the issuer of tokens and the base of links in e-mails."""
    url = settings.public_url
    if not url.startswith("https://"):
        yield "GOVID_PUBLIC_URL is not an https address"
    parts = {"a query": "?" in url, "a fragment": "#" in url}
    if extra := [name for name, is_there in parts.items() if is_there]:
        yield (
            f"GOVID_PUBLIC_URL holds {' and '.join(extra)}; it would be part of every token: "
            "give scheme, host and path only"
        )
    elif url.startswith("https://") and not _has_host(url):
        yield "GOVID_PUBLIC_URL names no host"


def _has_host(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and (parts.port or 1) > 0 and not set(url) & set(" \\\t")
    except ValueError:
        return False


def invalid_origin_problems(settings: Settings) -> Iterator[str]:
    """Yield a sentence for each origin that no browser would ever send."""
    for text in settings.cors_origins:
        if text != ANY_ORIGIN and normalise_origin(text) is None:
            yield (
                f"GOVID_CORS_ORIGINS holds {text!r}, which no browser sends: an origin is a scheme "
                "and a host, like https://app.example.org"
            )


def _trusted_networks(settings: Settings) -> Iterator[str]:
    """Check the lists of trusted networks."""
    lists: Mapping[str, tuple[str, ...]] = {
        "GOVID_TRUSTED_PROXIES": settings.trusted_proxies,
        "GOVID_TRUSTED_CALLERS": settings.identity.throttle.trusted_networks,
    }
    for name, networks in lists.items():
        if _covers_all_addresses(networks):
            yield (
                f"{name} trusts every address, so that each client can claim to be another: name "
                "the networks of your own machines"
            )


def _covers_all_addresses(networks: tuple[str, ...]) -> bool:
    read = [ip_network(one) for one in networks]
    ipv4_networks = collapse_addresses([one for one in read if isinstance(one, IPv4Network)])
    ipv6_networks = collapse_addresses([one for one in read if isinstance(one, IPv6Network)])
    return any(one.prefixlen == 0 for one in ipv4_networks) or any(
        one.prefixlen == 0 for one in ipv6_networks
    )


def _rate_limits(settings: Settings) -> Iterator[str]:
    throttle = settings.identity.throttle
    if not (throttle.address_failures or throttle.registrations or throttle.duplicates):
        yield (
            "every throttle of a network is off: set GOVID_ADDRESS_FAILURES, "
            "GOVID_REGISTRATIONS_PER_HOUR or GOVID_DUPLICATES_PER_DAY"
        )


def _database_transport(settings: Settings) -> Iterator[str]:
    """Refuse a database that is reached over a network with TLS explicitly disabled."""
    url = _read_database_url(settings)
    if url is not None and _is_remote(url) and url.tls.get("sslmode") == "disable":
        yield (
            "GOVID_DATABASE_URL has sslmode=disable: passwords and data are sent unencrypted; use "
            "verify-full, or prefer where the network is protected otherwise"
        )


def transport_warnings(settings: Settings) -> Iterator[str]:
    """Warn about connections to other machines that can be read or redirected on their way."""
    url = _read_database_url(settings)
    # `sslmode=disable` is a fault.
    if (
        url is not None
        and _is_remote(url)
        and not url.is_verified
        and url.tls.get("sslmode") != "disable"
    ):
        yield (
            "the certificate of the database is not verified, so that another server can take its "
            "place and read passwords and data: set sslmode=verify-full and sslrootcert in "
            "GOVID_DATABASE_URL"
        )
    if url is not None and (fault := PasswordFile(url).find_fault()):
        yield fault
    servers = settings.bus.kafka_bootstrap_servers
    if servers and settings.kafka_allow_plaintext:
        is_encrypted = settings.bus.kafka_security.is_encrypted
        if not is_encrypted and not all(_is_local(one.host) for one in parse_addresses(servers)):
            yield (
                "Kafka is reached without encryption, so that others can read and forge its "
                "records, death notices included: set GOVID_KAFKA_SECURITY_PROTOCOL"
            )


def _read_database_url(settings: Settings) -> ConnectionUrl | None:
    try:
        return parse_url(settings.bus.database_url) if settings.bus.database_url else None
    except InvalidConnectionUrl:
        return None  # `backend_problems` reports what is wrong with it.


def _is_remote(url: ConnectionUrl) -> bool:
    """Tell whether a host of *url* may be another machine."""
    hosts = [host for host, _ in url.hosts] or os.environ.get("PGHOST", "localhost").split(",")
    return not all(map(_is_local, hosts))


def _is_local(host: str) -> bool:
    if host.startswith(("/", "@")) or host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False

"""Builds the settings of the connection to Kafka."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import SecretStr

from govid.bus.settings import KafkaSecurity
from govid.bus.shared.secret_source import SecretSource
from govid.gateway.settings.environment import Environment

PROTOCOL = "GOVID_KAFKA_SECURITY_PROTOCOL"
MECHANISM = "GOVID_KAFKA_SASL_MECHANISM"
CA_FILE = "GOVID_KAFKA_SSL_CA_FILE"
CERTIFICATE = "GOVID_KAFKA_SSL_CERTIFICATE_FILE"
KEY_FILE = "GOVID_KAFKA_SSL_KEY_FILE"
KEY_PASSWORD = "GOVID_KAFKA_SSL_KEY_PASSWORD"  # noqa: S105 - a name
PASSWORD = "GOVID_KAFKA_SASL_PASSWORD"  # noqa: S105 - a name
TOKEN_URL = "GOVID_KAFKA_OAUTH_TOKEN_URL"  # noqa: S105 - a name
LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
"""Hosts that may be reached without encryption, for tests."""
CLIENT_SECRET = "GOVID_KAFKA_OAUTH_CLIENT_SECRET"  # noqa: S105 - a name


def build_kafka_security(
    environment: Environment, secret_files: Mapping[str, Path]
) -> KafkaSecurity:
    """Build the settings; *secret_files* are the files of secrets by the names of settings.

    Raises:
        ValueError: a setting is missing, or has no effect because of another one. The text names
            all of them.
    """
    if problems := list(_find_problems(environment)):
        raise ValueError("; ".join(problems))
    return environment.build_struct(
        KafkaSecurity,
        prefix="kafka_",
        protocol=environment.kafka_security_protocol,
        key_password=_secret_source(environment.kafka_key_password, secret_files.get(KEY_PASSWORD)),
        sasl_password=_secret_source(environment.kafka_sasl_password, secret_files.get(PASSWORD)),
        oauth_client_secret=_secret_source(
            environment.kafka_oauth_client_secret, secret_files.get(CLIENT_SECRET)
        ),
    )


REREAD_FILES = (CA_FILE, CERTIFICATE, KEY_FILE, KEY_PASSWORD, PASSWORD, CLIENT_SECRET)
"""Settings whose files the clients of Kafka read again while govid runs."""


def _secret_source(secret: SecretStr | None, file: Path | None) -> SecretSource:
    if secret is None or file is not None:
        # Without its present content, so that settings are equal if the file is the same.
        return SecretSource(file=file)
    return SecretSource(value=secret.get_secret_value())


def _find_problems(environment: Environment) -> Iterator[str]:
    """Yield what is missing, and what is given although nothing would use it."""
    tls = {
        CA_FILE: environment.kafka_ca_file,
        CERTIFICATE: environment.kafka_certificate_file,
        KEY_FILE: environment.kafka_key_file,
        KEY_PASSWORD: environment.kafka_key_password,
    }
    user = {
        "GOVID_KAFKA_SASL_USERNAME": environment.kafka_sasl_username,
        PASSWORD: environment.kafka_sasl_password,
    }
    client = {
        TOKEN_URL: environment.kafka_oauth_token_url,
        "GOVID_KAFKA_OAUTH_CLIENT_ID": environment.kafka_oauth_client_id,
        CLIENT_SECRET: environment.kafka_oauth_client_secret,
    }
    scope = {"GOVID_KAFKA_OAUTH_SCOPE": environment.kafka_oauth_scope}
    protocol, mechanism = environment.kafka_security_protocol, environment.kafka_sasl_mechanism
    if protocol == "PLAINTEXT":
        yield from _find_unused({**tls, **user, **client, **scope}, f"{PROTOCOL}=PLAINTEXT")
        return
    if environment.kafka_certificate_file is None:
        yield from _find_unused(tls, f"no {CERTIFICATE}", but=CA_FILE)
    if protocol == "SSL":
        yield from _find_unused({**user, **client, **scope}, f"{PROTOCOL}=SSL")
    elif mechanism == "OAUTHBEARER":
        yield from _find_unused(user, f"{MECHANISM}=OAUTHBEARER")
        yield from _find_missing(client, f"{MECHANISM}=OAUTHBEARER")
        yield from _find_url_problems(environment.kafka_oauth_token_url)
    else:
        yield from _find_unused({**client, **scope}, f"{MECHANISM}={mechanism}")
        yield from _find_missing(user, f"{PROTOCOL}=SASL_SSL")


def _find_url_problems(url: str | None) -> Iterator[str]:
    """Check the token endpoint: every command that connects to Kafka sends the secret there."""
    if url is None:
        return
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        parts, host = urlsplit(""), None
    if parts.username is not None or parts.password is not None or parts.fragment:
        yield f"{TOKEN_URL} has a user, a password or a fragment, which do not belong there"
    elif host is None or (parts.scheme != "https" and host not in LOOPBACK_HOSTS):
        yield f"{TOKEN_URL} is not an https address"


def _find_unused(settings: Mapping[str, object], reason: str, but: str = "") -> Iterator[str]:
    """Yield the settings that are given and have no effect because of *reason*."""
    for name, value in settings.items():
        if value is not None and name != but:
            yield f"{name} has no effect with {reason}"


def _find_missing(settings: Mapping[str, object], reason: str) -> Iterator[str]:
    for name, value in settings.items():
        if value is None:
            yield f"{name} is not set, which {reason} needs"

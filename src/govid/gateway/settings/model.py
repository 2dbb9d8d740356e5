"""`Settings`: all settings of one process, with the settings of each module."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal
from urllib.parse import quote, urlsplit

import msgspec
from pydantic import SecretStr

from govid.bus import AuditSettings, BusSettings
from govid.bus.events import Topic
from govid.bus.shared.privacy import RedactedStruct
from govid.gateway.settings.departments import (
    build_hmrc_settings,
    build_mail_settings,
    build_nhs_settings,
)
from govid.gateway.settings.environment import Environment
from govid.gateway.settings.kafka import build_kafka_security
from govid.hmrc import HmrcSettings
from govid.identity import IdentityQuotas, IdentitySettings, ThrottleSettings
from govid.nhs import NhsSettings


class ShownSetting(msgspec.Struct, frozen=True, kw_only=True):
    """One setting as `govid config show` prints it, secrets masked. `source` may be "default"."""

    name: str
    aliases: tuple[str, ...]
    value: str
    source: str
    doc: str


class Settings(RedactedStruct, frozen=True, kw_only=True):
    """All settings of one process. The repr shows no value, because some are secrets (I9)."""

    demonstration: bool
    """True under `govid dev`, which allows published secrets, simulators and embedded backends."""
    host: str
    port: int
    data_dir: Path
    public_url: str
    allowed_hosts: tuple[str, ...]
    """Host names under which clients may call; empty for any."""
    trusted_proxies: tuple[str, ...]
    management_host: str
    management_port: int | None = None
    metrics_token: bytes | None = None
    max_connections: int
    max_connections_per_network: int
    drain_seconds: float
    cors_origins: tuple[str, ...]
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"]
    log_format: Literal["auto", "json", "console"]
    kafka_allow_plaintext: bool
    allow_simulators: bool
    allow_unsafe_database: bool
    bus: BusSettings
    identity: IdentitySettings
    nhs: NhsSettings
    hmrc: HmrcSettings
    table: tuple[ShownSetting, ...]
    """Every setting with its source, secrets masked, for `govid config show`."""
    values: tuple[object, ...]
    """The values of the settings of `table`, in its order, to compare them with later ones."""
    notices: tuple[str, ...] = ()
    """One sentence for each accepted value that may be a mistake."""

    def is_set(self, name: str) -> bool:
        """Return whether *name* (`GOVID_PORT`) is set, by this or an older name.

        `GOVID_DATABASE_URL` counts as set if the prototype's `DB_HOST` is set.
        """
        sources = {row.name: row.source for row in self.table}
        names = (name, "DB_HOST") if name == "GOVID_DATABASE_URL" else (name,)
        return any(sources[one] != "default" for one in names)


def build_settings(
    environment: Environment,
    table: tuple[ShownSetting, ...],
    *,
    demonstration: bool,
    secret_files: Mapping[str, Path] = {},
    notices: tuple[str, ...] = (),
) -> Settings:
    """Build `Settings` from the environment; *secret_files* are files of secrets by setting.

    Raises:
        ValueError: settings contradict each other.
    """
    nhs_settings = build_nhs_settings(environment, demonstration=demonstration)
    public_url = (environment.public_url or _local_url(environment)).rstrip("/")
    return environment.build_struct(
        Settings,
        values=tuple(value for _, value in environment),
        demonstration=demonstration,
        public_url=public_url,
        notices=notices,
        allowed_hosts=environment.allowed_hosts
        or _local_hosts(environment, public_url, demonstration=demonstration),
        bus=environment.build_struct(
            BusSettings,
            database_url=_database_url(environment),
            kafka_bootstrap_servers=environment.kafka_bootstrap_servers or "",
            kafka_client_id=environment.kafka_prefix + environment.kafka_client_id,
            kafka_security=build_kafka_security(environment, secret_files),
            topic_names=_topic_names(environment),
            pseudonym_key=_secret_bytes(environment.pseudonym_key) or b"",
            audit=_audit_settings(environment, public_url),
        ),
        identity=environment.build_struct(
            IdentitySettings,
            issuer=public_url,
            old_pseudonym_keys=_split_keys(environment.old_pseudonym_keys),
            access_token_seconds=round(environment.access_token_minutes * 60),
            password_checks=(
                not demonstration
                if environment.password_checks is None
                else environment.password_checks
            ),
            mail=build_mail_settings(environment, public_url, demonstration=demonstration),
            event_days=max(environment.retention_days, environment.kafka_retention_days),
            accept_prototype_nhs=nhs_settings.accept_prototype_nhs,
            throttle=_throttle_settings(environment, demonstration=demonstration),
            quotas=environment.build_struct(IdentityQuotas, prefix="quota_"),
        ),
        nhs=nhs_settings,
        hmrc=build_hmrc_settings(
            environment,
            demonstration=demonstration,
            public_url=public_url,
            encryption_keys=_encryption_keys(environment),
        ),
        table=table,
    )


def _audit_settings(environment: Environment, public_url: str) -> AuditSettings:
    """Return the settings of the audit log, which is named after the public URL by default."""
    return environment.build_struct(
        AuditSettings,
        prefix="audit_",
        key=_secret_bytes(environment.audit_key) or b"",
        old_keys=_split_keys(environment.old_audit_keys),
        origin=environment.audit_origin or f"{urlsplit(public_url).netloc[:58]}/audit",
    )


def _throttle_settings(environment: Environment, *, demonstration: bool) -> ThrottleSettings:
    """Return the rate limits; a demonstration has none per address, as all users share one."""
    if not demonstration:
        return environment.build_struct(ThrottleSettings, prefix="throttle_")
    return environment.build_struct(
        ThrottleSettings,
        prefix="throttle_",
        registrations=environment.throttle_registrations or 0,
        duplicates=environment.throttle_duplicates or 0,
    )


def _local_url(environment: Environment) -> str:
    host = f"[{environment.host}]" if ":" in environment.host else environment.host
    return f"http://{host}:{environment.port}"


def _local_hosts(
    environment: Environment, public_url: str, *, demonstration: bool
) -> tuple[str, ...]:
    """Return the host names of a demonstration for which none are set.

    If it is reachable from this machine only, its names are known. They prevent a page of another
    site from reaching it by a name that resolves to this machine. If other machines can reach it,
    any name is allowed.
    """
    own = {"localhost", "127.0.0.1", "[::1]"}
    host = f"[{environment.host}]" if ":" in environment.host else environment.host
    if not demonstration or host not in own:
        return ()
    return (*sorted(own), urlsplit(public_url).netloc.rpartition("@")[2])


def _database_url(environment: Environment) -> str:
    """Return the URL of the database, or an empty text if none is set."""
    if environment.database_url is not None:
        return environment.database_url.get_secret_value()
    if environment.db_host is None:
        return ""
    user = environment.db_user or "postgres"
    credentials = quote(user, safe="")
    if password := _secret_bytes(environment.db_password):
        credentials += f":{quote(password, safe='')}"
    host = f"{environment.db_host}:{environment.db_port}"
    return f"postgresql://{credentials}@{host}/{quote(environment.db_name or user, safe='')}"


def _topic_names(environment: Environment) -> Mapping[Topic, str]:
    names = {
        Topic.VERIFICATION_REQUEST: environment.verification_request_topic,
        Topic.VERIFICATION_RESULT: environment.verification_result_topic,
        Topic.DEATH_NOTIFICATION: environment.death_notification_topic,
    }
    return {topic: name for topic, name in names.items() if name != topic.value}


def _encryption_keys(environment: Environment) -> tuple[bytes, ...]:
    """Return the column encryption keys, newest first; the pseudonym keys if there are none."""
    if key := _secret_bytes(environment.key_encryption_key):
        return (key, _secret_bytes(environment.old_key_encryption_key) or b"")
    return (
        _secret_bytes(environment.pseudonym_key) or b"",
        *_split_keys(environment.old_pseudonym_keys),
    )


def _split_keys(secret: SecretStr | None) -> tuple[bytes, ...]:
    """Return the keys of a comma-separated list."""
    parts = (_secret_bytes(secret) or b"").split(b",")
    return tuple(part.strip() for part in parts if part.strip())


def _secret_bytes(secret: SecretStr | None) -> bytes | None:
    return None if secret is None else secret.get_secret_value().encode()

"""`Environment`: all environment variables; here those of the process, database and events."""

from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec
from pydantic import BaseModel, SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from govid.gateway.settings.environment_departments import (
    DepartmentVariables,
    HmrcVariables,
    NhsVariables,
)
from govid.gateway.settings.environment_identity import (
    AccountVariables,
    MailVariables,
    PasswordVariables,
    QuotaVariables,
    RateLimitVariables,
    TokenVariables,
)
from govid.gateway.settings.environment_kafka import KafkaVariables
from govid.gateway.settings.fields import (
    AuditOrganisation,
    AuditOrigin,
    HostList,
    NetworkList,
    OriginList,
    PublicAddress,
    setting_field,
)

StructT = TypeVar("StructT", bound=msgspec.Struct)


class ServerVariables(BaseModel):
    """Variables of the process and of its request edge."""

    host: str = setting_field("127.0.0.1", "GOVID_HOST", doc="Address to listen on")
    port: int = setting_field(8000, "GOVID_PORT", doc="Port to listen on", ge=0, le=65535)
    data_dir: Path = setting_field(
        Path(".govid"), "GOVID_DATA_DIR", doc="Folder for the state of `govid dev`"
    )
    public_url: PublicAddress = setting_field(
        None,
        "GOVID_PUBLIC_URL",
        doc="URL under which clients reach govid; also the issuer of its tokens",
    )
    allowed_hosts: HostList = setting_field(
        (),
        "GOVID_ALLOWED_HOSTS",
        doc="Allowed host names (Host header): JSON list or commas",
    )
    trusted_proxies: NetworkList = setting_field(
        (),
        "GOVID_TRUSTED_PROXIES",
        doc="Networks (CIDR) of proxies whose X-Forwarded-For is trusted: JSON list or commas",
    )
    management_port: int | None = setting_field(
        None,
        "GOVID_MANAGEMENT_PORT",
        doc="Separate port on which `govid serve` answers /metrics and health with details",
        ge=1,
        le=65535,
    )
    management_host: str = setting_field(
        "127.0.0.1", "GOVID_MANAGEMENT_HOST", doc="Address of the management port"
    )
    metrics_token: SecretStr | None = setting_field(
        None,
        "GOVID_METRICS_TOKEN",
        doc="Bearer token for /metrics on GOVID_PORT, if there is no management port",
    )
    max_connections: int = setting_field(
        1000,
        "GOVID_MAX_CONNECTIONS",
        doc="Connections per process; at most the limit of open files less 100",
        ge=1,
    )
    max_connections_per_network: int = setting_field(
        200,
        "GOVID_MAX_CONNECTIONS_PER_NETWORK",
        doc="Connections per IPv4 address or IPv6 /64; trusted proxies are exempt",
        ge=1,
    )
    drain_seconds: float = setting_field(
        5,
        "GOVID_DRAIN_SECONDS",
        doc="Seconds before a stop in which `govid serve` reports not ready, but still answers",
        ge=0,
        le=600,
    )
    cors_origins: OriginList = setting_field(
        (),
        "GOVID_CORS_ORIGINS",
        "BACKEND_CORS_ORIGINS",
        doc="Origins of browsers that may call: JSON list, commas, or * (never with credentials)",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = setting_field(
        "INFO", "GOVID_LOG_LEVEL", doc="Lowest level that is logged"
    )
    log_format: Literal["auto", "json", "console"] = setting_field(
        "auto",
        "GOVID_LOG_FORMAT",
        doc="auto, json or console; auto is JSON unless standard error is a terminal",
    )


class DatabaseVariables(BaseModel):
    """Variables of PostgreSQL."""

    database_url: SecretStr | None = setting_field(
        None,
        "GOVID_DATABASE_URL",
        doc="URL of PostgreSQL 15 or newer: postgresql://user:password@host/db",
    )
    allow_unsafe_database: bool = setting_field(
        False,
        "GOVID_ALLOW_UNSAFE_DATABASE",
        doc="Allow `govid serve` on a server with fsync=off, which loses commits at a power cut",
    )
    db_user: str | None = setting_field(
        None, "DB_USER", doc="User; only used without GOVID_DATABASE_URL"
    )
    db_password: SecretStr | None = setting_field(
        None, "DB_PASSWORD", doc="Password; only used without GOVID_DATABASE_URL"
    )
    db_host: PublicAddress = setting_field(
        None, "DB_HOST", doc="Host; only used without GOVID_DATABASE_URL"
    )
    db_port: int = setting_field(
        5432, "DB_PORT", doc="Port; only used without GOVID_DATABASE_URL", ge=1, le=65535
    )
    db_name: str | None = setting_field(
        None, "DB_NAME", doc="Name of the database; only used without GOVID_DATABASE_URL"
    )
    request_pool_size: int = setting_field(
        10, "GOVID_REQUEST_POOL_SIZE", doc="Database connections for requests", ge=1, le=200
    )
    bus_pool_size: int = setting_field(
        8, "GOVID_BUS_POOL_SIZE", doc="Database connections for event handlers", ge=2, le=200
    )
    read_pool_size: int = setting_field(
        4, "GOVID_READ_POOL_SIZE", doc="Database connections for single reads", ge=1, le=200
    )


class EventVariables(BaseModel):
    """Variables of events and their topics."""

    verification_request_topic: str = setting_field(
        "identity.verification.request",
        "GOVID_VERIFICATION_REQUEST_TOPIC",
        "IDENTITY_VERIFICATION_REQUEST_TOPIC",
        doc="Name of the topic of verification requests in Kafka",
    )
    verification_result_topic: str = setting_field(
        "identity.verification.result",
        "GOVID_VERIFICATION_RESULT_TOPIC",
        "IDENTITY_VERIFICATION_RESULT_TOPIC",
        doc="Name of the topic of verification results in Kafka",
    )
    death_notification_topic: str = setting_field(
        "hmrc.death.notification",
        "GOVID_DEATH_NOTIFICATION_TOPIC",
        "HMRC_DEATH_NOTIFICATION_TOPIC",
        doc="Name of the topic of death notifications in Kafka",
    )
    retention_days: float = setting_field(
        90,
        "GOVID_RETENTION_DAYS",
        doc="Days that events and receipts are kept; never shorter than Kafka keeps its records",
        gt=0,
    )
    pseudonym_key: SecretStr | None = setting_field(
        None,
        "GOVID_PSEUDONYM_KEY",
        doc="Key of the pseudonyms of identifiers: 32 bytes or more, never to be lost",
    )
    old_pseudonym_keys: SecretStr | None = setting_field(
        None,
        "GOVID_OLD_PSEUDONYM_KEYS",
        doc="Earlier pseudonym keys, newest first, separated by commas: see `govid keys status`",
    )


class AuditVariables(BaseModel):
    """Variables of the audit log."""

    audit_key: SecretStr | None = setting_field(
        None,
        "GOVID_AUDIT_KEY",
        doc="Key of the audit log: 32 bytes or more, never to be lost",
    )
    old_audit_keys: SecretStr | None = setting_field(
        None,
        "GOVID_OLD_AUDIT_KEYS",
        doc="Earlier audit keys, newest first, separated by commas; needed to verify old entries",
    )
    audit_origin: AuditOrigin = setting_field(
        None,
        "GOVID_AUDIT_ORIGIN",
        doc="Name of the audit log in its checkpoints (default: host of the public URL, /audit)",
    )
    audit_organisation: AuditOrganisation = setting_field(
        "govid",
        "GOVID_AUDIT_ORGANISATION",
        doc="Organisation whose staff read data, as citizens see it in their access log",
        min_length=1,
        max_length=60,
    )
    audit_checkpoint_file: Path | None = setting_field(
        None,
        "GOVID_AUDIT_CHECKPOINT_FILE",
        doc="File for the newest checkpoint of the audit log; best on another machine's disk",
    )
    audit_entry_years: int = setting_field(
        7,
        "GOVID_AUDIT_ENTRY_YEARS",
        doc="Years that entries of the audit log are kept",
        ge=1,
        le=100,
    )
    audit_login_days: int = setting_field(
        30,
        "GOVID_AUDIT_LOGIN_DAYS",
        doc="Days that the audit log keeps personal data of login attempts",
        ge=1,
        le=36_500,
    )
    audit_request_days: int = setting_field(
        90,
        "GOVID_AUDIT_REQUEST_DAYS",
        doc="Days that the audit log keeps addresses and correlation ids of other requests",
        ge=1,
        le=36_500,
    )


# Fields of the last base come first, so the variables that an operator needs first are last here.
class Environment(
    HmrcVariables,
    NhsVariables,
    DepartmentVariables,
    AccountVariables,
    QuotaVariables,
    MailVariables,
    RateLimitVariables,
    PasswordVariables,
    TokenVariables,
    AuditVariables,
    EventVariables,
    KafkaVariables,
    DatabaseVariables,
    ServerVariables,
    BaseSettings,
):
    """All environment variables of govid: names, types, limits and defaults."""

    model_config = SettingsConfigDict(
        extra="ignore", case_sensitive=True, env_ignore_empty=True, hide_input_in_errors=True
    )

    @classmethod
    def settings_customise_sources(  # the signature is the library's
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Disable the library's sources: `loading` merges the sources, and records them."""
        return (init_settings,)

    def build_struct(self, kind: type[StructT], *, prefix: str = "", **computed: Any) -> StructT:
        """Build the struct *kind* from *computed*, and from the variables of its other fields.

        The variable of a field has its name after *prefix*: `smtp_host` for `host`. If there is no
        such variable or it is not set, the default of the struct applies.
        """
        values = {
            field.name: _reveal_secret(getattr(self, prefix + field.name), field.type)
            for field in msgspec.structs.fields(kind)
            if field.name not in computed and prefix + field.name in type(self).model_fields
        }
        return kind(**computed, **{k: value for k, value in values.items() if value is not None})


def _reveal_secret(value: object, kind: object) -> object:
    """Return a secret as text, or as bytes if *kind* is a type of bytes; other values unchanged."""
    if not isinstance(value, SecretStr):
        return value
    text = value.get_secret_value()
    return text.encode() if kind in (bytes, bytes | None) else text

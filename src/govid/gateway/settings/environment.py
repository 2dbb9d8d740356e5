"""Every setting: its names, type, default and meaning."""

import json
import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, Field, SecretStr, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from govid.gateway.addresses import is_network
from govid.gateway.hosts import is_host
from govid.hmrc import Contract

Port = Literal["auto", "remote", "simulator", "off"]


def _named(default: Any, *names: str, doc: str, **limits: Any) -> Any:
    """Declare a setting by all its names, govid's own first."""
    return Field(default, validation_alias=AliasChoices(*names), description=doc, **limits)


class Environment(BaseSettings):
    """What govid can be told, as it stands in the environment: names, types, limits, defaults."""

    model_config = SettingsConfigDict(
        extra="ignore", case_sensitive=True, env_ignore_empty=True, hide_input_in_errors=True
    )

    host: str = _named("127.0.0.1", "GOVID_HOST", doc="Address to listen on")
    port: int = _named(8000, "GOVID_PORT", doc="Port to listen on", ge=0, le=65535)
    data_dir: Path = _named(
        Path(".govid"), "GOVID_DATA_DIR", doc="Where `govid dev` keeps its state"
    )
    public_url: str | None = _named(
        None, "GOVID_PUBLIC_URL", doc="URL by which clients reach govid; the issuer of its tokens"
    )
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = _named(
        (),
        "GOVID_ALLOWED_HOSTS",
        doc="Names by which clients may call (Host header): JSON list or commas",
    )
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = _named(
        (),
        "GOVID_TRUSTED_PROXIES",
        doc="Networks (CIDR) of proxies whose X-Forwarded-For counts: JSON list or commas",
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = _named(
        (),
        "GOVID_CORS_ORIGINS",
        "BACKEND_CORS_ORIGINS",
        doc="Origins that browsers may call from: JSON list, commas, or * (never with credentials)",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = _named(
        "INFO", "GOVID_LOG_LEVEL", doc="Least level that is logged"
    )
    log_format: Literal["auto", "json", "console"] = _named(
        "auto", "GOVID_LOG_FORMAT", doc="auto is JSON unless on a terminal"
    )

    database_url: SecretStr | None = _named(
        None, "GOVID_DATABASE_URL", doc="PostgreSQL 15 or newer: postgresql://user:password@host/db"
    )
    db_user: str | None = _named(None, "DB_USER", doc="Used without GOVID_DATABASE_URL only")
    db_password: SecretStr | None = _named(None, "DB_PASSWORD", doc="The same")
    db_host: str | None = _named(None, "DB_HOST", doc="The same")
    db_port: int = _named(5432, "DB_PORT", doc="The same", ge=1, le=65535)
    db_name: str | None = _named(None, "DB_NAME", doc="The same")
    request_pool_size: int = _named(
        10, "GOVID_REQUEST_POOL_SIZE", doc="Database connections for requests", ge=1, le=200
    )
    bus_pool_size: int = _named(
        8, "GOVID_BUS_POOL_SIZE", doc="Database connections for event handlers", ge=2, le=200
    )
    read_pool_size: int = _named(
        4, "GOVID_READ_POOL_SIZE", doc="Database connections for single reads", ge=1, le=200
    )

    kafka_bootstrap_servers: str | None = _named(
        None,
        "GOVID_KAFKA_BOOTSTRAP_SERVERS",
        "KAFKA_BOOTSTRAP_SERVERS",
        doc="Kafka: host:port, several with commas",
    )
    kafka_client_id: str = _named(
        "govid", "GOVID_KAFKA_CLIENT_ID", "KAFKA_CLIENT_ID", doc="Name of govid at the brokers"
    )
    kafka_allow_plaintext: bool = _named(
        False, "GOVID_KAFKA_ALLOW_PLAINTEXT", doc="Let `govid serve` speak to Kafka without TLS"
    )
    kafka_generation: str = _named(
        "", "GOVID_KAFKA_GENERATION", doc="One life of a broker that forgets; `govid dev` sets it"
    )
    kafka_topic_partitions: int = _named(
        4, "GOVID_KAFKA_TOPIC_PARTITIONS", doc="Partitions of a topic that govid creates", ge=1
    )
    verification_request_topic: str = _named(
        "identity.verification.request",
        "GOVID_VERIFICATION_REQUEST_TOPIC",
        "IDENTITY_VERIFICATION_REQUEST_TOPIC",
        doc="Name of this topic in Kafka",
    )
    verification_result_topic: str = _named(
        "identity.verification.result",
        "GOVID_VERIFICATION_RESULT_TOPIC",
        "IDENTITY_VERIFICATION_RESULT_TOPIC",
        doc="Name of this topic in Kafka",
    )
    death_notification_topic: str = _named(
        "hmrc.death.notification",
        "GOVID_DEATH_NOTIFICATION_TOPIC",
        "HMRC_DEATH_NOTIFICATION_TOPIC",
        doc="Name of this topic in Kafka",
    )
    kafka_retention_days: float = _named(
        7, "GOVID_KAFKA_RETENTION_DAYS", doc="How long Kafka keeps records", gt=0
    )
    retention_days: float = _named(
        90,
        "GOVID_RETENTION_DAYS",
        doc="How long events and receipts are kept; never shorter than Kafka keeps its records",
        gt=0,
    )
    pseudonym_key: SecretStr | None = _named(
        None,
        "GOVID_PSEUDONYM_KEY",
        doc="Hides identifiers in keys: 32 bytes or more, kept for ever",
    )

    algorithm: Literal["ES256", "HS256"] = _named(
        "ES256", "GOVID_ALGORITHM", "ALGORITHM", doc="Signature of access tokens"
    )
    secret_key: SecretStr | None = _named(
        None,
        "GOVID_SECRET_KEY",
        "SECRET_KEY",
        doc="Signs access tokens under HS256: 32 bytes or more",
    )
    key_encryption_key: SecretStr | None = _named(
        None,
        "GOVID_KEY_ENCRYPTION_KEY",
        doc="Encrypts the stored signing keys under ES256: 32 bytes or more",
    )
    access_token_minutes: float = _named(
        30,
        "GOVID_ACCESS_TOKEN_EXPIRE_MINUTES",
        "ACCESS_TOKEN_EXPIRE_MINUTES",
        doc="Life of an access token",
        gt=0,
        le=1440,
    )
    session_token_seconds: int = _named(
        300,
        "GOVID_SESSION_TOKEN_SECONDS",
        doc="Life of an access token that comes with a refresh token",
        ge=1,
        le=3600,
    )
    session_idle_seconds: int = _named(
        3600,
        "GOVID_SESSION_IDLE_SECONDS",
        doc="How long a session may go unused; noted to the minute",
        ge=120,
    )
    session_absolute_seconds: int = _named(
        43_200,
        "GOVID_SESSION_ABSOLUTE_SECONDS",
        doc="How long a session lasts, whatever is done with it",
        ge=1,
    )
    revocation_check: Literal["transaction", "cache"] = _named(
        "transaction",
        "GOVID_REVOCATION_CHECK",
        doc="cache lets reads believe for a second that a session lives; for a single process",
    )
    jwks_max_age_seconds: int = _named(
        300, "GOVID_JWKS_MAX_AGE_SECONDS", doc="How long others may keep our public keys", ge=1
    )
    key_publish_seconds: int = _named(
        360,
        "GOVID_KEY_PUBLISH_SECONDS",
        doc="How long a new key is published before it signs; longer than others keep the keys",
        ge=1,
    )
    key_keep_seconds: int | None = _named(
        None,
        "GOVID_KEY_KEEP_SECONDS",
        doc="How long a key is believed after it signed (default: as long as its tokens need)",
        ge=1,
    )
    password_min_length: int = _named(
        8, "GOVID_PASSWORD_MIN_LENGTH", doc="May be raised, never lowered", ge=8, le=256
    )
    password_checks: bool | None = _named(
        None,
        "GOVID_PASSWORD_CHECKS",
        doc="Refuse common and breached passwords; without it true in `govid serve` only",
    )
    argon2_time_cost: int = _named(2, "GOVID_ARGON2_TIME_COST", doc="Passes of a hash", ge=1)
    argon2_memory_kib: int = _named(
        47_104, "GOVID_ARGON2_MEMORY_KIB", doc="Memory of a hash in KiB", ge=12_288
    )
    argon2_parallelism: int = _named(1, "GOVID_ARGON2_PARALLELISM", doc="Lanes of a hash", ge=1)
    hash_concurrency: int = _named(
        max(1, (os.cpu_count() or 2) - 1),
        "GOVID_HASH_CONCURRENCY",
        doc="Hashes at a time (default: one less than the machine has processors)",
        ge=1,
    )

    login_failures: int = _named(
        6, "GOVID_LOGIN_FAILURES", doc="Failures in a row that lock a sign-in for a time", ge=1
    )
    login_lock_seconds: float = _named(
        900,
        "GOVID_LOGIN_LOCK_SECONDS",
        doc="How long the first lock lasts; each within a day lasts twice as long, up to a day",
        gt=0,
        allow_inf_nan=False,
    )
    login_lock_max_seconds: float = _named(
        7200,
        "GOVID_LOGIN_LOCK_MAX_SECONDS",
        doc="How long a lock may last, up to a day",
        gt=0,
        allow_inf_nan=False,
    )
    address_failures: int = _named(
        100,
        "GOVID_ADDRESS_FAILURES",
        doc="Failures in 15 minutes after which an address (IPv6: its /64) has to wait; 0 is off",
        ge=0,
    )
    registrations_per_hour: int | None = _named(
        None,
        "GOVID_REGISTRATIONS_PER_HOUR",
        doc="Registrations from one address; 0 is off; without it 30, and off under `govid dev`",
        ge=0,
    )
    duplicates_per_day: int | None = _named(
        None,
        "GOVID_DUPLICATES_PER_DAY",
        doc="Registrations of one taken identifier; 0 is off; without it 10, off in `govid dev`",
        ge=0,
    )
    trusted_callers: Annotated[tuple[str, ...], NoDecode] = _named(
        (),
        "GOVID_TRUSTED_CALLERS",
        doc="Networks (CIDR) of back ends that register for many people: JSON list or commas",
    )

    mail: Literal["auto", "folder", "smtp", "off"] = _named(
        "auto",
        "GOVID_MAIL",
        doc="auto, folder, smtp or off; auto is a folder in `govid dev`, and else smtp if its host"
        " is set",
    )
    mail_from: str | None = _named(
        None, "GOVID_MAIL_FROM", doc="Address that mail comes from; smtp needs one"
    )
    smtp_host: str | None = _named(None, "GOVID_SMTP_HOST", doc="Server that takes mail")
    smtp_port: int = _named(587, "GOVID_SMTP_PORT", doc="Its port", ge=1, le=65535)
    smtp_tls: Literal["starttls", "tls", "none"] = _named(
        "starttls", "GOVID_SMTP_TLS", doc="starttls, tls (from the first byte, port 465) or none"
    )
    smtp_username: str | None = _named(None, "GOVID_SMTP_USERNAME", doc="Who govid is there")
    smtp_password: SecretStr | None = _named(None, "GOVID_SMTP_PASSWORD", doc="Its password there")
    smtp_timeout_seconds: float = _named(
        10, "GOVID_SMTP_TIMEOUT_SECONDS", doc="How long it may take to answer", gt=0, le=60
    )
    reset_link_seconds: int = _named(
        900,
        "GOVID_RESET_LINK_SECONDS",
        doc="Life of a link to set a new password",
        ge=60,
        le=3600,
    )
    confirmation_link_seconds: int = _named(
        86_400,
        "GOVID_CONFIRMATION_LINK_SECONDS",
        doc="Life of a link to confirm an email address",
        ge=3600,
        le=604_800,
    )
    claim_days: int = _named(
        14,
        "GOVID_CLAIM_DAYS",
        doc="After so many days an account that is not verified gives its identifier back",
        ge=1,
    )
    closed_identifier_days: int = _named(
        30,
        "GOVID_CLOSED_IDENTIFIER_DAYS",
        doc="For so many days nobody can register the identifier of a closed account",
        ge=0,
    )

    allow_simulators: bool = _named(
        False, "GOVID_ALLOW_SIMULATORS", doc="Let `govid serve` run with simulated departments"
    )
    patient_registry: Port = _named(
        "auto",
        "GOVID_PATIENT_REGISTRY",
        doc="auto, remote, simulator or off; auto is remote with the NHS's credentials, "
        "without them a simulator in `govid dev` and off in `govid serve`",
    )
    nhs_base_url: str | None = _named(
        None,
        "GOVID_NHS_BASE_URL",
        doc="Host of the NHS's interfaces: https://api.service.nhs.uk",
        pattern=r"^https?://[^/?#]+$",
    )
    nhs_client_id: str | None = _named(
        None, "GOVID_NHS_CLIENT_ID", doc="Key of govid's application at the NHS"
    )
    nhs_key_id: str | None = _named(
        None, "GOVID_NHS_KEY_ID", doc="Id (kid) of the public key that the NHS fetches from us"
    )
    nhs_private_key: SecretStr | None = _named(
        None,
        "GOVID_NHS_PRIVATE_KEY",
        doc="The private key to it, RSA in PEM; better as a file",
    )
    nino_verifier: Port = _named(
        "auto",
        "GOVID_NINO_VERIFIER",
        doc="auto, remote, simulator or off; auto is remote with HMRC's credentials, "
        "without them a simulator in `govid dev` and off in `govid serve`",
    )
    hmrc_base_url: str | None = _named(
        None,
        "GOVID_HMRC_BASE_URL",
        doc="Host of HMRC's APIs: https://api.service.hmrc.gov.uk",
        pattern=r"^https?://[^/?#]+$",
    )
    hmrc_client_id: str | None = _named(
        None, "GOVID_HMRC_CLIENT_ID", doc="Id of govid's application at HMRC"
    )
    hmrc_client_secret: SecretStr | None = _named(
        None, "GOVID_HMRC_CLIENT_SECRET", doc="One of its secrets"
    )
    hmrc_scope: str | None = _named(
        None,
        "GOVID_HMRC_SCOPE",
        doc="Scopes to ask for, with spaces; individuals-1 and individuals-2 need one",
    )
    hmrc_contract: Contract = _named(
        "pdv",
        "GOVID_HMRC_CONTRACT",
        doc="How HMRC matches: pdv, individuals-2 or individuals-1, as agreed with HMRC",
    )
    hmrc_pdv_path: str = _named(
        "/individuals/authentication/authenticator/api/match",
        "GOVID_HMRC_PDV_PATH",
        doc="Where pdv is; it is also seen without /api",
        pattern=r"^/[^?#]+$",
    )
    department_limits: bool = _named(
        True,
        "GOVID_DEPARTMENT_LIMITS",
        doc="Keep to the departments' limits; false only for demonstrations and benchmarks",
    )
    sim_patient_registry_fault: str = _named(
        "",
        "GOVID_SIM_PATIENT_REGISTRY_FAULT",
        doc="What goes wrong at the simulated NHS: 503, or 503:0.2 for every fifth call",
    )
    sim_nino_verifier_fault: str = _named(
        "",
        "GOVID_SIM_NINO_VERIFIER_FAULT",
        doc="What goes wrong at the simulated HMRC, in the same words",
    )
    simulate_death: bool = _named(
        True,
        "GOVID_SIMULATE_DEATH_EVENT",
        "SIMULATE_DEATH_EVENT",
        doc="Whether HMRC's simulator sends a death notification after the start",
    )
    simulate_death_delay_seconds: float = _named(
        30,
        "GOVID_SIMULATE_DEATH_DELAY_SECONDS",
        "SIMULATE_DEATH_DELAY_SECONDS",
        doc="How long after the start",
        ge=0,
    )
    simulate_death_nino: str = _named(
        "AB123456C", "GOVID_SIMULATE_DEATH_NIN", "SIMULATE_DEATH_NIN", doc="For whom"
    )

    @field_validator("allowed_hosts")
    @classmethod
    def _named_hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        """Refuse what no client would send as a host."""
        if not all(map(is_host, value)):
            raise ValueError("a host is a name or an address, without https:// and without a path")
        return value

    @field_validator("trusted_proxies", "trusted_callers")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        """Refuse what is no network, and one whose address has more bits than its prefix."""
        if not all(map(is_network, value)):
            raise ValueError("a network is written like 192.0.2.0/24 or 2001:db8::/32")
        return value

    @field_validator(
        "allowed_hosts", "cors_origins", "trusted_proxies", "trusted_callers", mode="before"
    )
    @classmethod
    def _split(cls, value: object) -> object:
        """Accept a JSON list and a list with commas."""
        if not isinstance(value, str):
            return value
        if value.lstrip().startswith("["):
            try:
                return json.loads(value)
            except ValueError:
                raise ValueError("neither a JSON list nor a list with commas") from None
        return [part.strip().rstrip("/") for part in value.split(",") if part.strip()]

    @classmethod
    def settings_customise_sources(  # the signature is the library's
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read nothing by itself: `load` merges the sources, and remembers which one won."""
        return (init_settings,)

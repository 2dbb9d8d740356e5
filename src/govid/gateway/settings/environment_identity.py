"""Environment variables of identity: tokens, passwords, rate limits, email, quotas and links."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, SecretStr

from govid.gateway.settings.cpu_count import usable_cpu_count
from govid.gateway.settings.fields import NetworkList, PublicAddress, setting_field


def _without_cache(value: str) -> str:
    """Refuse the removed mode of earlier releases, so that no operator relies on it."""
    if value == "cache":
        raise ValueError("the session cache has been removed: delete this setting")
    return value


RevocationCheck = Annotated[Literal["transaction", "cache"], AfterValidator(_without_cache)]


class TokenVariables(BaseModel):
    """Variables of tokens, sessions and signing keys."""

    algorithm: Literal["ES256", "HS256"] = setting_field(
        "ES256", "GOVID_ALGORITHM", "ALGORITHM", doc="Signature algorithm of access tokens"
    )
    secret_key: SecretStr | None = setting_field(
        None,
        "GOVID_SECRET_KEY",
        "SECRET_KEY",
        doc="Key that signs access tokens under HS256: 32 bytes or more",
    )
    key_encryption_key: SecretStr | None = setting_field(
        None,
        "GOVID_KEY_ENCRYPTION_KEY",
        doc="Key that encrypts stored signing keys, facts and consents: 32 bytes or more",
    )
    old_key_encryption_key: SecretStr | None = setting_field(
        None,
        "GOVID_OLD_KEY_ENCRYPTION_KEY",
        doc="The earlier encryption key, needed until `govid keys reencrypt` has finished",
    )
    access_token_minutes: float = setting_field(
        30,
        "GOVID_ACCESS_TOKEN_EXPIRE_MINUTES",
        "ACCESS_TOKEN_EXPIRE_MINUTES",
        doc="Lifetime of an access token in minutes",
        gt=0,
        le=1440,
    )
    session_token_seconds: int = setting_field(
        300,
        "GOVID_SESSION_TOKEN_SECONDS",
        doc="Lifetime of an access token that is issued with a refresh token, in seconds",
        ge=1,
        le=3600,
    )
    session_idle_seconds: int = setting_field(
        3600,
        "GOVID_SESSION_IDLE_SECONDS",
        doc="Idle time after which a session expires, in seconds; recorded to the minute",
        ge=120,
    )
    session_absolute_seconds: int = setting_field(
        43_200,
        "GOVID_SESSION_ABSOLUTE_SECONDS",
        doc="Maximum lifetime of a session in seconds, used or not",
        ge=1,
    )
    revocation_check: RevocationCheck = setting_field(
        "transaction",
        "GOVID_REVOCATION_CHECK",
        doc="Deprecated and without effect; removed in the next release",
    )
    jwks_max_age_seconds: int = setting_field(
        300,
        "GOVID_JWKS_MAX_AGE_SECONDS",
        doc="Seconds that clients may cache the public keys",
        ge=1,
    )
    key_publish_seconds: int = setting_field(
        360,
        "GOVID_KEY_PUBLISH_SECONDS",
        doc="Seconds that a new key is published before it signs; longer than clients cache keys",
        ge=1,
    )
    key_keep_seconds: int | None = setting_field(
        None,
        "GOVID_KEY_KEEP_SECONDS",
        doc="Seconds that a key is accepted after it last signed (default: until tokens expire)",
        ge=1,
    )


class PasswordVariables(BaseModel):
    """Variables of passwords."""

    password_min_length: int = setting_field(
        8, "GOVID_PASSWORD_MIN_LENGTH", doc="Minimum length of a password; at least 8", ge=8, le=256
    )
    password_checks: bool | None = setting_field(
        None,
        "GOVID_PASSWORD_CHECKS",
        doc="Refuse common and breached passwords (default: true, but false in `govid dev`)",
    )
    argon2_time_cost: int = setting_field(
        2, "GOVID_ARGON2_TIME_COST", doc="Passes of an Argon2 hash", ge=1
    )
    argon2_memory_kib: int = setting_field(
        47_104, "GOVID_ARGON2_MEMORY_KIB", doc="Memory of an Argon2 hash in KiB", ge=12_288
    )
    argon2_parallelism: int = setting_field(
        1, "GOVID_ARGON2_PARALLELISM", doc="Lanes of an Argon2 hash", ge=1
    )
    hash_concurrency: int = setting_field(
        max(1, usable_cpu_count() - 1),
        "GOVID_HASH_CONCURRENCY",
        doc="Concurrent password hashes (default: one less than the CPUs of this process)",
        ge=1,
    )


class RateLimitVariables(BaseModel):
    """Variables of rate limits and lockout."""

    throttle_failures: int = setting_field(
        6,
        "GOVID_LOGIN_FAILURES",
        doc="Consecutive failures after which sign-in to an account is locked for a time",
        ge=1,
    )
    throttle_lock_seconds: float = setting_field(
        900,
        "GOVID_LOGIN_LOCK_SECONDS",
        doc="Seconds of the first lockout; each further one within a day doubles, up to "
        "GOVID_LOGIN_LOCK_MAX_SECONDS",
        gt=0,
        allow_inf_nan=False,
    )
    throttle_max_lock_seconds: float = setting_field(
        7200,
        "GOVID_LOGIN_LOCK_MAX_SECONDS",
        doc="Maximum seconds of a lockout, up to a day",
        gt=0,
        allow_inf_nan=False,
    )
    throttle_address_failures: int = setting_field(
        100,
        "GOVID_ADDRESS_FAILURES",
        doc="Failures in 15 minutes after which an address (IPv6: its /64) has to wait; 0 is off",
        ge=0,
    )
    throttle_registrations: int | None = setting_field(
        None,
        "GOVID_REGISTRATIONS_PER_HOUR",
        doc="Registrations per address and hour; 0 is off (default: 30, 0 in `govid dev`)",
        ge=0,
    )
    throttle_duplicates: int | None = setting_field(
        None,
        "GOVID_DUPLICATES_PER_DAY",
        doc="Registrations per taken identifier and day; 0 is off (default: 10, 0 in `govid dev`)",
        ge=0,
    )
    throttle_trusted_networks: NetworkList = setting_field(
        (),
        "GOVID_TRUSTED_CALLERS",
        doc="Networks (CIDR) of back ends that register many people: JSON list or commas",
    )


class MailVariables(BaseModel):
    """Variables of outgoing email."""

    mail: Literal["auto", "folder", "smtp", "off"] = setting_field(
        "auto",
        "GOVID_MAIL",
        doc="auto, folder, smtp or off; auto is folder in `govid dev`, otherwise smtp if its host "
        "is set",
    )
    mail_from: str | None = setting_field(
        None, "GOVID_MAIL_FROM", doc="Sender address of emails; required for smtp"
    )
    smtp_host: PublicAddress = setting_field(
        None, "GOVID_SMTP_HOST", doc="SMTP server for outgoing email"
    )
    smtp_port: int = setting_field(
        587, "GOVID_SMTP_PORT", doc="Port of the SMTP server", ge=1, le=65535
    )
    smtp_tls: Literal["starttls", "tls", "none"] = setting_field(
        "starttls",
        "GOVID_SMTP_TLS",
        doc="Encryption: starttls, tls (from the first byte, port 465) or none",
    )
    smtp_username: str | None = setting_field(
        None, "GOVID_SMTP_USERNAME", doc="User name at the SMTP server"
    )
    smtp_password: SecretStr | None = setting_field(
        None, "GOVID_SMTP_PASSWORD", doc="Password at the SMTP server"
    )
    smtp_timeout_seconds: float = setting_field(
        10, "GOVID_SMTP_TIMEOUT_SECONDS", doc="Timeout of the SMTP server in seconds", gt=0, le=60
    )


class QuotaVariables(BaseModel):
    """Variables of quotas; 0 is off. The defaults are far above the use of ordinary clients."""

    quota_patient_records: int = setting_field(
        100, "GOVID_QUOTA_PATIENT_RECORDS", doc="Patient records filed per account", ge=0
    )
    quota_tax_records: int = setting_field(
        100, "GOVID_QUOTA_TAX_RECORDS", doc="Tax records filed per account", ge=0
    )
    quota_live_appointments: int = setting_field(
        4,
        "GOVID_QUOTA_LIVE_APPOINTMENTS",
        doc="Future appointments per account, requested or confirmed",
        ge=0,
    )
    quota_live_appointments_per_specialty: int = setting_field(
        1,
        "GOVID_QUOTA_LIVE_APPOINTMENTS_PER_SPECIALTY",
        doc="Future appointments per account and specialty",
        ge=0,
    )
    quota_appointment_changes_per_day: int = setting_field(
        10,
        "GOVID_QUOTA_APPOINTMENT_CHANGES_PER_DAY",
        doc="Bookings, moves and cancellations per account and day",
        ge=0,
    )
    quota_slot_searches_per_minute: int = setting_field(
        60,
        "GOVID_QUOTA_SLOT_SEARCHES_PER_MINUTE",
        doc="Searches for free slots per account and minute",
        ge=0,
    )
    quota_consents_per_hour: int = setting_field(
        10,
        "GOVID_QUOTA_CONSENTS_PER_HOUR",
        doc="Started HMRC consents per account and hour",
        ge=0,
    )
    quota_verifications_per_hour: int = setting_field(
        5,
        "GOVID_QUOTA_VERIFICATIONS_PER_HOUR",
        doc="Verification requests per account and hour",
        ge=0,
    )
    quota_exports_per_hour: int = setting_field(
        6, "GOVID_QUOTA_EXPORTS_PER_HOUR", doc="Data exports per account and hour", ge=0
    )
    quota_emails_per_hour: int = setting_field(
        5,
        "GOVID_QUOTA_EMAILS_PER_HOUR",
        doc="Requested emails of one kind per recipient and hour, over all accounts",
        ge=0,
    )


class AccountVariables(BaseModel):
    """Variables of email links and identifier claims."""

    reset_seconds: int = setting_field(
        900,
        "GOVID_RESET_LINK_SECONDS",
        doc="Lifetime of a link to set a new password, in seconds",
        ge=60,
        le=3600,
    )
    confirmation_seconds: int = setting_field(
        86_400,
        "GOVID_CONFIRMATION_LINK_SECONDS",
        doc="Lifetime of a link to confirm an email address, in seconds",
        ge=3600,
        le=604_800,
    )
    claim_days: int = setting_field(
        14,
        "GOVID_CLAIM_DAYS",
        doc="Days after which an unverified account loses its identifier",
        ge=1,
    )
    closed_identifier_days: int = setting_field(
        30,
        "GOVID_CLOSED_IDENTIFIER_DAYS",
        doc="Days during which the identifier of a closed account cannot be registered",
        ge=0,
    )

"""Settings of identity."""

from pathlib import Path
from typing import ClassVar, Literal

import msgspec

from govid.bus.shared.privacy import RedactedStruct


class ThrottleSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Rate limits of sign-in and registration, durations in seconds.

    A limit of 0 is no limit, except for `failures`, which is at least 1.
    """

    failures: int = 6
    """Failed sign-ins until lockout: the account is then locked for this sign-in method."""
    lock_seconds: float = 900
    """Duration of the first lock. Each further lock within a day lasts twice as long."""
    max_lock_seconds: float = 7200
    """Maximum duration of a lock; a day at most."""
    address_failures: int = 100
    """Failed sign-ins from one network in 15 minutes."""
    registrations: int = 30
    """Registrations from one network in an hour."""
    duplicates: int = 10
    """Registrations with one taken identifier, or one taken address, in a day."""
    trusted_networks: tuple[str, ...] = ()
    """Networks (CIDRs) of back ends that register many people."""


CLOCK_SKEW_SECONDS = 30
"""Largest accepted difference between clocks (RFC 9068 leaves the value open)."""

KEY_CHECK_SECONDS = 5
"""How often each process reads the signing keys."""


class SmtpSettings(RedactedStruct, frozen=True, kw_only=True):
    """The server that accepts outgoing e-mail."""

    host: str
    port: int = 587
    tls: Literal["starttls", "tls", "none"] = "starttls"
    username: str | None = None
    password: str | None = None
    timeout_seconds: float = 10

    repr_members: ClassVar[tuple[str, ...]] = ("host",)


class MailSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Transport of e-mail: files in `folder`, the server `smtp`, or none."""

    sender: str = "no-reply@example.com"
    folder: Path | None = None
    smtp: SmtpSettings | None = None


class IdentityQuotas(msgspec.Struct, frozen=True, kw_only=True):
    """Quotas; 0 is no limit."""

    verifications_per_hour: int = 0
    """Verification requests of one account."""
    exports_per_hour: int = 0
    """Data exports of one account."""
    emails_per_hour: int = 0
    """E-mails to one recipient, over all accounts that cause them."""


class IdentitySettings(RedactedStruct, frozen=True, kw_only=True):
    """Settings of identity. Durations are in seconds, memory is in KiB."""

    issuer: str
    """The issuer of the tokens: govid's public URL, as clients know it."""
    algorithm: Literal["ES256", "HS256"] = "ES256"
    secret_key: bytes | None = None
    """Signs tokens if, and only if, `algorithm` is HS256."""
    key_encryption_key: bytes | None = None
    """Encrypts the private signing key in the database; without it, the key is in plain text."""
    old_key_encryption_key: bytes | None = None
    """The earlier key, which decrypts existing values until `govid keys reencrypt` has ended."""
    pseudonym_key: bytes = b""
    """Key of the pseudonyms under which rate limits count addresses and networks."""
    old_pseudonym_keys: tuple[bytes, ...] = ()
    """Earlier pseudonym keys, newest first; rows that are found by them are rewritten."""
    access_token_seconds: int = 1800
    """Lifetime of a token of `POST /api/auth/login`, which cannot be renewed."""
    session_token_seconds: int = 300
    """Lifetime of an access token that is issued with a refresh token."""
    session_idle_seconds: int = 3600
    session_absolute_seconds: int = 43_200
    jwks_max_age_seconds: int = 300
    """How long verifiers may cache the public keys."""
    key_publish_seconds: int = 360
    """How long a key is published before it signs."""
    key_keep_seconds: int | None = None
    """How long a key is published after its last signature; by default the shortest safe time."""
    argon2_time_cost: int = 2
    argon2_memory_kib: int = 47104
    argon2_parallelism: int = 1
    hash_concurrency: int = 1
    password_min_length: int = 8
    password_checks: bool = False
    """Whether passwords that are easy to guess are rejected."""
    mail: MailSettings = MailSettings()
    reset_seconds: int = 900
    """How long a link to set a new password is valid."""
    confirmation_seconds: int = 86_400
    """How long a link to confirm an address is valid."""
    claim_days: int = 14
    """After so many days an account that is not verified loses its identifier."""
    closed_identifier_days: int = 30
    """For so many days the identifier of a closed account cannot be registered."""
    event_days: float = 90
    """Retention of stored events, which outlive a closed account."""
    accept_prototype_nhs: bool = False
    """Whether `NHS` and nine digits are accepted as an NHS number, as in simulated departments."""
    throttle: ThrottleSettings = ThrottleSettings()
    quotas: IdentityQuotas = IdentityQuotas()

    repr_members: ClassVar[tuple[str, ...]] = ("issuer", "algorithm")

    def __post_init__(self) -> None:
        """Reject durations under which valid tokens would be rejected.

        Raises:
            ValueError: a key is not published for long enough before it signs, or after.
        """
        if self.key_publish_seconds < self.jwks_max_age_seconds + 2 * KEY_CHECK_SECONDS:
            raise ValueError(
                "GOVID_KEY_PUBLISH_SECONDS must be 10 or more above GOVID_JWKS_MAX_AGE_SECONDS: "
                "verifiers that cache the keys must read them again before a new key signs"
            )
        if self.key_retention_seconds < self.key_min_retention_seconds:
            raise ValueError(
                f"GOVID_KEY_KEEP_SECONDS must be {self.key_min_retention_seconds} or more: the "
                "longest token lifetime, GOVID_JWKS_MAX_AGE_SECONDS and 30"
            )

    @property
    def max_token_seconds(self) -> int:
        """Longest lifetime of an access token of any kind."""
        return max(self.access_token_seconds, self.session_token_seconds)

    @property
    def encryption_keys(self) -> tuple[bytes, ...]:
        """The keys that encrypt facts, newest first; the pseudonym keys if no such key is set."""
        if self.key_encryption_key:
            return (self.key_encryption_key, self.old_key_encryption_key or b"")
        return self.pseudonym_keys

    @property
    def pseudonym_keys(self) -> tuple[bytes, ...]:
        """The keys of digests and pseudonyms, newest first."""
        return (self.pseudonym_key, *self.old_pseudonym_keys)

    @property
    def key_min_retention_seconds(self) -> int:
        """How long verifiers may need a key after its last signature.

        The sum of three times: verifiers cache the key set, the last token has to expire, and
        clocks differ.
        """
        return self.jwks_max_age_seconds + self.max_token_seconds + CLOCK_SKEW_SECONDS

    @property
    def key_retention_seconds(self) -> int:
        """How long a key is accepted after its last signature."""
        return (
            self.key_min_retention_seconds
            if self.key_keep_seconds is None
            else self.key_keep_seconds
        )

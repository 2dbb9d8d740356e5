"""What identity can be told."""

from pathlib import Path
from typing import Literal

import msgspec


class ThrottleSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How often somebody may try. Durations are in seconds; a most of 0 is none."""

    failures: int = 6
    """After so many, the account is locked for this way of signing in."""
    lock_seconds: float = 900
    """How long the first lock lasts. Each within a day lasts twice as long as the one before."""
    longest_lock_seconds: float = 7200
    address_failures: int = 100
    """From one network in a quarter of an hour."""
    registrations: int = 30
    """From one network in an hour."""
    duplicates: int = 10
    """Of one identifier, or one address, in a day."""
    trusted_callers: tuple[str, ...] = ()
    """Networks (CIDRs) of back ends that register for many people."""


SKEW_SECONDS = 30
"""By how much clocks may differ (RFC 9068 leaves it to us)."""

KEY_WATCH_SECONDS = 5
"""How often each process looks which keys there are."""


class SmtpSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The server that takes mail."""

    host: str
    port: int = 587
    tls: Literal["starttls", "tls", "none"] = "starttls"
    username: str | None = None
    password: str | None = None
    timeout_seconds: float = 10

    def __repr__(self) -> str:
        """Say nothing of the password (I9)."""
        return f"<SmtpSettings {self.host}>"


class MailSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How mail leaves: into `folder`, by the server `smtp`, or not at all."""

    sender: str = "no-reply@example.com"
    folder: Path | None = None
    smtp: SmtpSettings | None = None


class IdentityQuotas(msgspec.Struct, frozen=True, kw_only=True):
    """How often something may be done; 0 is no limit."""

    verifications_per_hour: int = 0
    """By one account."""
    exports_per_hour: int = 0
    """Of one account."""
    emails_per_hour: int = 0
    """To one recipient, whichever accounts cause them."""


class IdentitySettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of identity. Durations are in seconds, memory is in KiB."""

    issuer: str
    """Who signs the tokens: govid's public URL, as clients know it."""
    algorithm: Literal["ES256", "HS256"] = "ES256"
    secret_key: bytes | None = None
    """Signs tokens if, and only if, `algorithm` is HS256."""
    key_encryption_key: bytes | None = None
    """Seals the private signing key in the database. Without it the key lies there in the open."""
    access_token_seconds: int = 1800
    """Life of a token of `POST /api/auth/login`, which nothing can renew."""
    session_token_seconds: int = 300
    """Life of a token that comes with a refresh token."""
    session_idle_seconds: int = 3600
    session_absolute_seconds: int = 43_200
    jwks_max_age_seconds: int = 300
    """How long others may keep our public keys before they look again."""
    key_publish_seconds: int = 360
    """How long a key is published before it signs."""
    key_keep_seconds: int | None = None
    """How long a key is published after it has signed; unless set, as short as is safe."""
    argon2_time_cost: int = 2
    argon2_memory_kib: int = 47104
    argon2_parallelism: int = 1
    hash_concurrency: int = 1
    password_min_length: int = 8
    password_checks: bool = False
    """Whether passwords that are easy to guess are refused."""
    mail: MailSettings = MailSettings()
    reset_seconds: int = 900
    """How long a link to set a new password is good."""
    confirmation_seconds: int = 86_400
    """How long a link to confirm an address is good."""
    claim_days: int = 14
    """After so many, an account that is not verified gives its identifier back."""
    closed_identifier_days: int = 30
    """For so many, nobody can register the identifier of a closed account."""
    event_days: float = 90
    """How long the bus keeps events, which a closed account leaves behind."""
    accept_prototype_nhs: bool = False
    """Whether `NHS` and nine digits pass as an NHS number, as simulated departments know it."""

    def __post_init__(self) -> None:
        """Refuse times by which good tokens would be refused.

        Raises:
            ValueError: a key is published for too short before it signs, or after.
        """
        if self.key_publish_seconds < self.jwks_max_age_seconds + 2 * KEY_WATCH_SECONDS:
            raise ValueError(
                "GOVID_KEY_PUBLISH_SECONDS must be 10 or more above GOVID_JWKS_MAX_AGE_SECONDS: "
                "whoever keeps our keys has to look again before a new one signs"
            )
        if self.key_kept_seconds < self.key_needed_seconds:
            raise ValueError(
                f"GOVID_KEY_KEEP_SECONDS must be {self.key_needed_seconds} or more: the life of "
                "the longest token, GOVID_JWKS_MAX_AGE_SECONDS and 30"
            )

    @property
    def longest_token_seconds(self) -> int:
        """How long an access token of any kind may live."""
        return max(self.access_token_seconds, self.session_token_seconds)

    pseudonym_key: bytes = b""
    """Hides who is counted in the throttle's rows."""
    old_pseudonym_keys: tuple[bytes, ...] = ()
    """Earlier ones, newest first: what is found by them is rewritten."""
    old_key_encryption_key: bytes | None = None
    """The earlier one: what it encrypted can be read until `govid keys reencrypt` has ended."""
    throttle: ThrottleSettings = ThrottleSettings()
    quotas: IdentityQuotas = IdentityQuotas()

    @property
    def encryption_keys(self) -> tuple[bytes, ...]:
        """The keys that encrypt facts, newest first; the pseudonym keys where there is none."""
        if self.key_encryption_key:
            return (self.key_encryption_key, self.old_key_encryption_key or b"")
        return self.pseudonym_keys

    @property
    def pseudonym_keys(self) -> tuple[bytes, ...]:
        """The keys of digests and pseudonyms, newest first."""
        return (self.pseudonym_key, *self.old_pseudonym_keys)

    @property
    def key_needed_seconds(self) -> int:
        """How long a key may still be asked for after its last signature.

        Who has looked at the key set just before keeps it for a while; tokens live on; clocks
        differ.
        """
        return self.jwks_max_age_seconds + self.longest_token_seconds + SKEW_SECONDS

    @property
    def key_kept_seconds(self) -> int:
        """How long a key is believed after its last signature."""
        return self.key_needed_seconds if self.key_keep_seconds is None else self.key_keep_seconds

    def __repr__(self) -> str:
        """Say nothing of the secrets (I9)."""
        return f"<IdentitySettings {self.issuer} {self.algorithm}>"

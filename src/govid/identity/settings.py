"""What identity can be told."""

from typing import Literal

import msgspec


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
    argon2_time_cost: int = 2
    argon2_memory_kib: int = 47104
    argon2_parallelism: int = 1
    hash_concurrency: int = 1
    password_min_length: int = 8
    accept_prototype_nhs: bool = False
    """Whether `NHS` and nine digits pass as an NHS number, as simulated departments know it."""

    def __repr__(self) -> str:
        """Say nothing of the secrets (I9)."""
        return f"<IdentitySettings {self.issuer} {self.algorithm}>"

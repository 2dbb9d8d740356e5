"""Environment variables of the password policy and of password hashing."""

from pydantic import BaseModel

from govid.gateway.settings.environment.naming import named
from govid.gateway.settings.processors import usable_processors


class Passwords(BaseModel):
    """Variables of passwords."""

    password_min_length: int = named(
        8, "GOVID_PASSWORD_MIN_LENGTH", doc="Minimum length of a password; at least 8", ge=8, le=256
    )
    password_checks: bool | None = named(
        None,
        "GOVID_PASSWORD_CHECKS",
        doc="Refuse common and breached passwords (default: true, but false in `govid dev`)",
    )
    argon2_time_cost: int = named(2, "GOVID_ARGON2_TIME_COST", doc="Passes of an Argon2 hash", ge=1)
    argon2_memory_kib: int = named(
        47_104, "GOVID_ARGON2_MEMORY_KIB", doc="Memory of an Argon2 hash in KiB", ge=12_288
    )
    argon2_parallelism: int = named(
        1, "GOVID_ARGON2_PARALLELISM", doc="Lanes of an Argon2 hash", ge=1
    )
    hash_concurrency: int = named(
        max(1, usable_processors() - 1),
        "GOVID_HASH_CONCURRENCY",
        doc="Concurrent password hashes (default: one less than the CPUs of this process)",
        ge=1,
    )

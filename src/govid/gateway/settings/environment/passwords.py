"""Environment variables of the password policy and of password hashing."""

from pydantic import BaseModel

from govid.gateway.settings.environment.naming import setting_field
from govid.gateway.settings.processors import usable_cpu_count


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

"""Environment variables of PostgreSQL: address, safety check and pool sizes."""

from pydantic import BaseModel, SecretStr

from govid.gateway.settings.environment.naming import setting_field


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
    db_host: str | None = setting_field(
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

"""Where the database is, and how many connections it is asked for."""

from pydantic import BaseModel, SecretStr

from govid.gateway.settings.environment.naming import named


class Storage(BaseModel):
    """Settings of PostgreSQL."""

    database_url: SecretStr | None = named(
        None, "GOVID_DATABASE_URL", doc="PostgreSQL 15 or newer: postgresql://user:password@host/db"
    )
    allow_unsafe_database: bool = named(
        False,
        "GOVID_ALLOW_UNSAFE_DATABASE",
        doc="Let `govid serve` run on a server with fsync=off, which loses commits at a power cut",
    )
    db_user: str | None = named(None, "DB_USER", doc="Used without GOVID_DATABASE_URL only")
    db_password: SecretStr | None = named(None, "DB_PASSWORD", doc="The same")
    db_host: str | None = named(None, "DB_HOST", doc="The same")
    db_port: int = named(5432, "DB_PORT", doc="The same", ge=1, le=65535)
    db_name: str | None = named(None, "DB_NAME", doc="The same")
    request_pool_size: int = named(
        10, "GOVID_REQUEST_POOL_SIZE", doc="Database connections for requests", ge=1, le=200
    )
    bus_pool_size: int = named(
        8, "GOVID_BUS_POOL_SIZE", doc="Database connections for event handlers", ge=2, le=200
    )
    read_pool_size: int = named(
        4, "GOVID_READ_POOL_SIZE", doc="Database connections for single reads", ge=1, le=200
    )

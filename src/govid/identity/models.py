"""The tables of identity, as columns. The rules of the rows stand in the migration."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import DateTime, FetchedValue, LargeBinary, MetaData, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """The base of identity's tables: its own schema, and no time without its zone."""

    metadata = MetaData(schema="identity")
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy declares it so
        str: Text(),
        bytes: LargeBinary(),
        datetime: DateTime(timezone=True),
    }


class Account(Base):
    """A person's account."""

    __tablename__ = "account"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    email: Mapped[str | None]
    email_canonical: Mapped[str | None]
    identifier_type: Mapped[str | None]
    identifier_value: Mapped[str | None]
    phone_number: Mapped[str | None]
    password_hash: Mapped[str | None]
    status: Mapped[str]
    status_before: Mapped[str | None]
    auth_provider: Mapped[str]
    tokens_valid_after: Mapped[datetime] = mapped_column(server_default=FetchedValue())
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class Session(Base):
    """A sign-in, for as long as its tokens are good."""

    __tablename__ = "session"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[UUID]
    client_id: Mapped[str]
    acr: Mapped[str]
    auth_time: Mapped[datetime]
    created_at: Mapped[datetime] = mapped_column(server_default=FetchedValue())
    last_seen_at: Mapped[datetime] = mapped_column(server_default=FetchedValue())
    idle_expires_at: Mapped[datetime] = mapped_column(server_default=FetchedValue())
    absolute_expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    revoked_reason: Mapped[str | None]


class RefreshToken(Base):
    """What a session is renewed with: its digest."""

    __tablename__ = "refresh_token"

    hash: Mapped[bytes] = mapped_column(primary_key=True)
    session_id: Mapped[UUID]
    client_id: Mapped[str]
    issued_at: Mapped[datetime] = mapped_column(server_default=FetchedValue())
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class SigningKey(Base):
    """A key that signs access tokens."""

    __tablename__ = "signing_key"

    kid: Mapped[str] = mapped_column(primary_key=True)
    algorithm: Mapped[str]
    public_key: Mapped[bytes]
    private_key: Mapped[bytes | None]
    sealed: Mapped[bool]
    state: Mapped[str]
    due_at: Mapped[datetime | None]
    created_at: Mapped[datetime]

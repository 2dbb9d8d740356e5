"""Tables of identity. The constraints of their rows are in the migration."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, DateTime, FetchedValue, LargeBinary, MetaData, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """Base of the tables: the schema `identity`, and timestamps with time zone."""

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
    is_identifier_shared: Mapped[bool] = mapped_column(server_default=FetchedValue())
    phone_number: Mapped[str | None]
    password_hash: Mapped[str | None]
    status: Mapped[str]
    status_before: Mapped[str | None]
    auth_provider: Mapped[str]
    tokens_valid_after: Mapped[datetime] = mapped_column(server_default=FetchedValue())
    email_confirmed_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    life_event_at: Mapped[datetime | None]
    contra_indicators: Mapped[list[str]] = mapped_column(
        ARRAY(Text()), server_default=FetchedValue()
    )
    evidence_strength: Mapped[int] = mapped_column(server_default=FetchedValue())
    evidence_validity: Mapped[int] = mapped_column(server_default=FetchedValue())
    assurance: Mapped[str] = mapped_column(server_default=FetchedValue())
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class StoredEmail(Base):
    """An outgoing e-mail until it is sent. Its address is stored here and in no event."""

    __tablename__ = "letter"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[UUID | None]
    kind: Mapped[str]
    address: Mapped[str | None]
    written_at: Mapped[datetime]


class OneTimeToken(Base):
    """A one-time token that was sent as a link; only the digest of the token is stored."""

    __tablename__ = "link"

    hash: Mapped[bytes] = mapped_column(primary_key=True)
    account_id: Mapped[UUID]
    purpose: Mapped[str]
    address: Mapped[str]
    issued_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class LifeEvent(Base):
    """A notice of death or an operator action, with its outcome."""

    __tablename__ = "life_event"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str]
    identifier_type: Mapped[str | None]
    identifier_digest: Mapped[str | None]
    identifier_key_id: Mapped[str | None]
    account_id: Mapped[UUID | None]
    occurred_at: Mapped[datetime | None]
    received_at: Mapped[datetime] = mapped_column(server_default=FetchedValue())
    outcome: Mapped[str]
    settled_at: Mapped[datetime | None]
    operator: Mapped[str | None]
    stated_reason: Mapped[str | None]


class ReviewItem(Base):
    """A case that a member of staff has to review."""

    __tablename__ = "review_item"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    reason: Mapped[str]
    life_event_id: Mapped[UUID | None]
    account_id: Mapped[UUID | None]
    state: Mapped[str] = mapped_column(server_default=FetchedValue())
    opened_at: Mapped[datetime] = mapped_column(server_default=FetchedValue())


class Session(Base):
    """A session: a login, for as long as its tokens are valid."""

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
    """The digest of a refresh token, which renews a session."""

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

"""A minimal application: a profile request that does nothing but read and encode it.

A Litestar handler that verifies an HS256 token and reads one row by asyncpg; no sessions, no
logs, no headers of ours, no problem details. It has what govid found to be fast (a pool that does
not reset its connections, a struct as the answer), but no memory of tokens it has seen.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from uuid import UUID

import asyncpg
import jwt
import msgspec
from litestar import Litestar, Request, get
from litestar.datastructures import State
from litestar.exceptions import NotAuthorizedException

COLUMNS = (
    "id, email, identifier_type, identifier_value, phone_number, status, auth_provider, "
    "created_at, updated_at"
)


class User(msgspec.Struct):
    """The profile, in the contract's shape."""

    id: UUID
    email: str
    identifierType: str  # noqa: N815 - the contract's name
    identifierValue: str  # noqa: N815 - the contract's name
    phoneNumber: str | None  # noqa: N815 - the contract's name
    status: str
    auth_provider: str
    created_at: datetime
    updated_at: datetime


@get("/api/auth/profile")
async def profile(request: Request[None, None, State]) -> User:
    """Return the account that the token names."""
    state = request.app.state
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme != "Bearer":
        raise NotAuthorizedException
    try:
        claims = jwt.decode(token, state.secret, algorithms=["HS256"])
    except jwt.InvalidTokenError as error:
        raise NotAuthorizedException from error
    row = await state.pool.fetchrow(
        f"SELECT {COLUMNS} FROM person WHERE id = $1", UUID(claims["sub"])
    )
    if row is None:
        raise NotAuthorizedException
    return User(*row)


async def _keep(connection: asyncpg.Connection) -> None:
    """Leave a connection as it is: after a single read there is nothing to reset."""


@asynccontextmanager
async def pool(app: Litestar) -> AsyncIterator[None]:
    """Hold the pool of connections as long as the application runs."""
    async with asyncpg.create_pool(
        os.environ["BENCH_DATABASE_URL"], min_size=4, max_size=4, reset=_keep
    ) as p:
        app.state.pool = p
        yield


app = Litestar(
    [profile],
    lifespan=[pool],
    openapi_config=None,
    state=State({"secret": os.environ.get("BENCH_SECRET", "")}),
)

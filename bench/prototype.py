"""The prototype's shape: a gateway that proxies to a service, each a process of its own.

`bench.prototype:gateway` is a FastAPI application that forwards every request by one pooled
`httpx.AsyncClient`; `bench.prototype:service` is a FastAPI application that verifies the token and
loads the account by the SQLAlchemy ORM. What the prototype did besides, such as a Kafka record for
each request, is left out: the comparison errs in its favour.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated
from uuid import UUID

import httpx
import jwt
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.security import OAuth2PasswordBearer
from pydantic import BaseModel, ConfigDict
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

SERVICE_URL = os.environ.get("BENCH_SERVICE_URL", "http://127.0.0.1:1")
DATABASE_URL = os.environ.get("BENCH_DATABASE_URL", "postgresql://127.0.0.1:1/none")
SECRET = os.environ.get("BENCH_SECRET", "")

engine = create_async_engine(
    DATABASE_URL.replace("postgresql://", "postgresql+asyncpg://"), pool_size=10
)
sessions = async_sessionmaker(engine, expire_on_commit=False)
bearer = OAuth2PasswordBearer(tokenUrl="/api/auth/login")


class Base(DeclarativeBase):
    """Models of the service."""


class Person(Base):
    """An account."""

    __tablename__ = "person"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    email: Mapped[str]
    identifier_type: Mapped[str]
    identifier_value: Mapped[str]
    phone_number: Mapped[str | None]
    status: Mapped[str]
    auth_provider: Mapped[str]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class User(BaseModel):
    """The profile, in the contract's shape."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    email: str
    identifier_type: str
    identifier_value: str
    phone_number: str | None
    status: str
    auth_provider: str
    created_at: datetime
    updated_at: datetime


async def session() -> AsyncIterator[AsyncSession]:
    """Open a session for one request."""
    async with sessions() as opened:
        yield opened


async def current(
    token: Annotated[str, Depends(bearer)], db: Annotated[AsyncSession, Depends(session)]
) -> Person:
    """Return the account that the token names."""
    try:
        claims = jwt.decode(token, SECRET, algorithms=["HS256"])
    except jwt.InvalidTokenError as error:
        raise HTTPException(401) from error
    found = await db.execute(select(Person).where(Person.id == UUID(claims["sub"])))
    person = found.scalar_one_or_none()
    if person is None:
        raise HTTPException(401)
    return person


service = FastAPI(openapi_url=None)


@service.get("/api/auth/profile", response_model=User)
async def profile(person: Annotated[Person, Depends(current)]) -> Person:
    """Return the caller's account."""
    return person


@asynccontextmanager
async def client(app: FastAPI) -> AsyncIterator[None]:
    """Hold one pooled client as long as the gateway runs."""
    async with httpx.AsyncClient(base_url=SERVICE_URL, timeout=30) as pooled:
        app.state.client = pooled
        yield


gateway = FastAPI(openapi_url=None, lifespan=client)


@gateway.api_route("/api/auth/{path:path}", methods=["GET", "POST", "PUT", "DELETE", "PATCH"])
async def proxy(path: str, request: Request) -> Response:
    """Forward the request to the service and its answer to the client."""
    headers = {name: value for name, value in request.headers.items() if name != "host"}
    answer = await request.app.state.client.request(
        request.method,
        f"/api/auth/{path}",
        params=request.query_params,
        headers=headers,
        content=await request.body(),
    )
    return Response(
        answer.content, answer.status_code, media_type=answer.headers.get("content-type")
    )

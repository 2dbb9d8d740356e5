"""Makes SQLAlchemy engines on the connections of a `ConnectionFactory`."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from govid.bus.storage.connection import ConnectionFactory


def create_engine(factory: ConnectionFactory, **options: Any) -> AsyncEngine:
    """Return a SQLAlchemy engine whose connections *factory* opens.

    It is separate from the factory because commands connect without SQLAlchemy (I13).
    """
    return create_async_engine("postgresql+asyncpg://", async_creator=factory.connect, **options)

"""The API's description is ready before the first request, and no request makes it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from litestar import Litestar
from litestar._openapi.plugin import OpenAPIPlugin

from govid.gateway.endpoints import openapi
from tests.unit.gateway.http.edge_application import client, fine, health


@asynccontextmanager
async def started() -> AsyncIterator[httpx.AsyncClient]:
    """Start a small application with the document and its viewer; yield a client of it."""
    app = Litestar(
        [openapi.openapi, fine, health],
        openapi_config=openapi.build_openapi_config(),
        on_startup=[openapi.prepare_document],
        logging_config=None,
    )
    async with app.lifespan(), client(app) as http:
        yield http


async def test_the_document_is_that_of_the_application() -> None:
    async with started() as http:
        answer = await http.get("/openapi.json")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert sorted(answer.json()["paths"]) == ["/", "/health"]


@pytest.mark.parametrize("path", ["/openapi.json", "/docs", "/docs/start.js", "/health"])
@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (openapi, openapi.render_document.__name__),
        (OpenAPIPlugin, "_build_openapi"),
        (OpenAPIPlugin, "provide_openapi_schema"),
    ],
)
async def test_no_request_describes_the_api(
    monkeypatch: pytest.MonkeyPatch, path: str, owner: Any, name: str
) -> None:
    described: list[str] = []
    async with started() as http:
        monkeypatch.setattr(owner, name, lambda *_: described.append(name))
        assert (await http.get(path)).status_code == 200
    assert described == []

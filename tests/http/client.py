"""A client of the API, with the names of its contract."""

import asyncio
from typing import Any

import httpx

PASSWORD = "password123"
NIN = {
    "email": "test.nin@example.com",
    "password": PASSWORD,
    "identifierType": "NIN",
    "identifierValue": "AB123456C",
    "phoneNumber": "+447123456789",
}
NHS = {
    "email": "test.nhs@example.com",
    "password": PASSWORD,
    "identifierType": "NHS",
    "identifierValue": "NHS123456789",
}


class Client:
    """Calls one server."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http

    async def get(self, path: str, token: str | None = None, **more: Any) -> httpx.Response:
        return await self.http.get(path, headers=_bearer(token), **more)

    async def post(self, path: str, json: Any, token: str | None = None) -> httpx.Response:
        return await self.http.post(path, json=json, headers=_bearer(token))

    async def post_raw(
        self, path: str, body: bytes, content_type: str | None = "application/json", **headers: str
    ) -> httpx.Response:
        """Send *body* as it is."""
        if content_type is not None:
            headers["content-type"] = content_type
        return await self.http.post(path, content=body, headers=headers)

    async def register(
        self, person: dict[str, str] | None = None, **changes: Any
    ) -> httpx.Response:
        return await self.post("/api/auth/register", {**(person or NIN), **changes})

    async def token(self, email: str = NIN["email"], password: str = PASSWORD) -> str:
        """Sign in and return the access token."""
        answer = await self.post("/api/auth/login", {"email": email, "password": password})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    async def citizen(self, person: dict[str, str] | None = None, **changes: Any) -> str:
        """Register a person and return their token."""
        answer = await self.register(person, **changes)
        assert answer.status_code == 201, answer.text
        return await self.token(answer.json()["email"])

    async def until_status(self, token: str, status: str, seconds: float = 5) -> dict[str, Any]:
        """Return the profile once its status is *status*."""
        async with asyncio.timeout(seconds):
            while (profile := (await self.get("/api/auth/profile", token)).json()).get(
                "status"
            ) != status:
                await asyncio.sleep(0.02)
        return dict(profile)


def _bearer(token: str | None) -> dict[str, str]:
    return {} if token is None else {"Authorization": f"Bearer {token}"}

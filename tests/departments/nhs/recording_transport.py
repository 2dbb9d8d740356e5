"""An HTTP transport to an NHS that records its requests."""

from urllib.parse import parse_qs

import httpx
import jwt


class RecordingTransport(httpx.AsyncBaseTransport):
    """Sends on by another transport, and remembers the requests; while it `is_cut` all fail."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner
        self.sent: list[httpx.Request] = []
        self.is_cut = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self.sent.append(request)
        if self.is_cut:
            raise httpx.ConnectError("cut")
        return await self._inner.handle_async_request(request)

    def headers(self, name: str, path: str) -> list[str]:
        """Return that header of all requests to a path that begins with *path*."""
        return [one.headers[name] for one in self.sent if one.url.path.startswith(path)]

    def jtis(self) -> list[str]:
        """Return the ids of the assertions that asked for tokens."""
        forms = [
            parse_qs(one.content.decode()) for one in self.sent if one.url.path.endswith("token")
        ]
        return [
            str(jwt.decode(form["client_assertion"][0], options={"verify_signature": False})["jti"])
            for form in forms
        ]

"""A token endpoint that signs real access tokens, and publishes the key that verifies them."""

import base64
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote_plus

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.backends.kafka_secured import AUDIENCE, USER

CLIENT_SECRET = "a secret of the token endpoint"
KEY_ID = "test-key"


class TokenEndpoint:
    """An HTTP server with `/token` and `/jwks`. Its attributes shape its answers."""

    def __init__(self, port: int) -> None:
        """Make a key; the server listens on *port*."""
        self._key = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
        self.token_url = f"http://127.0.0.1:{port}/token"
        self.jwks_url = f"http://127.0.0.1:{port}/jwks"
        self.status = 200
        self.audience = AUDIENCE
        self.life_seconds = 60
        self.client_secret = CLIENT_SECRET
        self.asked = 0
        """The number of token requests."""

    def answer(self, path: str, authorization: str, body: bytes) -> tuple[int, object]:
        """Return the status and the document of the answer to a request."""
        if path == "/jwks":
            return 200, self._jwks()
        self.asked += 1
        if self.status != 200:
            return self.status, {"error": "server_error"}
        # Encoded like a form first (RFC 6749, section 2.3.1).
        wanted = base64.b64encode(f"{USER}:{quote_plus(self.client_secret)}".encode()).decode()
        if authorization != f"Basic {wanted}":
            return 401, {"error": "invalid_client"}
        if parse_qs(body.decode()).get("grant_type") != ["client_credentials"]:
            return 400, {"error": "unsupported_grant_type"}
        return 200, self._grant()

    def _grant(self) -> Mapping[str, object]:
        now = int(time.time())
        claims = {"sub": USER, "aud": self.audience, "iat": now, "exp": now + self.life_seconds}
        token = jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": KEY_ID})
        return {
            "access_token": token, "token_type": "Bearer", "expires_in": self.life_seconds
        }  # fmt: skip

    def _jwks(self) -> Mapping[str, object]:
        key = jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        return {"keys": [{**key, "kid": KEY_ID, "use": "sig", "alg": "RS256"}]}


@contextmanager
def serving() -> Iterator[TokenEndpoint]:
    """Yield a token endpoint that answers in a thread: a broker asks for its key when it starts."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._send(self.path, b"")

        def do_POST(self) -> None:
            self._send(self.path, self.rfile.read(int(self.headers["Content-Length"])))

        def log_message(self, *_: object) -> None:
            """Stay silent."""

        def _send(self, path: str, body: bytes) -> None:
            status, document = endpoint.answer(path, self.headers.get("Authorization", ""), body)
            content = msgspec.json.encode(document)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    endpoint = TokenEndpoint(server.server_port)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield endpoint
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

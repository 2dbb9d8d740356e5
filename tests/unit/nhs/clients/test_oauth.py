"""Access tokens of the NHS, whose lifetimes are strings, and perhaps numbers one day."""

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from govid.bus import SystemClock
from govid.bus.upstream import Department, in_process_transport
from govid.nhs.clients.oauth import SigningCredentials, build_token_client
from tests.departments.clock import TickingClock


@pytest.fixture(scope="module")
def credentials() -> SigningCredentials:
    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return SigningCredentials(client_id="me", kid="key-1", key=lambda: pem)


class Granting:
    """A token endpoint whose every answer is the same."""

    def __init__(self, life: object, kind: str) -> None:
        content = {"access_token": "t", "expires_in": life, "token_type": kind}
        self._body = json.dumps(content).encode()
        self.asked = 0

    async def __call__(self, _scope: Any, _receive: Any, send: Any) -> None:
        self.asked += 1
        headers = [(b"content-type", b"application/json; charset=utf-8")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": self._body})


@pytest.mark.parametrize("kind", ["Bearer", "bearer"])
@pytest.mark.parametrize(
    ("life", "at", "asked"),
    [("599", 479, 1), ("599", 480, 2), (599, 479, 1), (599, 480, 2), ("soon", 0, 2)],
)
async def test_a_life_is_read_as_a_string_and_as_a_number(
    credentials: SigningCredentials, kind: str, life: object, at: float, asked: int
) -> None:
    endpoint, clock = Granting(life, kind), TickingClock()
    department = Department("nhs", transport=in_process_transport(endpoint))
    token_client = build_token_client(
        department.create_client("oauth", "http://nhs.example"), credentials, SystemClock()
    )
    tokens = token_client.build_cache(clock)
    await tokens.get()
    clock.seconds = at
    assert await tokens.get() == "t"
    assert endpoint.asked == asked
    await department.close()


def test_credentials_show_nothing(credentials: SigningCredentials) -> None:
    assert repr(credentials) == "<SigningCredentials>"

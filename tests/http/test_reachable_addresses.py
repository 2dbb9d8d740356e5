"""Addresses that the mail server cannot write to, over HTTP and a server for mail."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from tests.http.client import Client
from tests.unit.identity.email.test_transports import MailServer


@pytest.fixture
def mail_port() -> Iterator[int]:
    """Return the port of a mail server without SMTPUTF8, in a thread of its own."""
    mail_server, loop = MailServer(), asyncio.new_event_loop()
    listening = loop.run_until_complete(asyncio.start_server(mail_server.serve, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield listening.sockets[0].getsockname()[1]
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    listening.close()
    loop.close()


@pytest.fixture
def overrides(mail_port: int) -> dict[str, object]:
    """Send mail by that server."""
    return {
        "GOVID_MAIL": "smtp",
        "GOVID_MAIL_FROM": "no-reply@govid.example",
        "GOVID_SMTP_HOST": "127.0.0.1",
        "GOVID_SMTP_PORT": mail_port,
        "GOVID_SMTP_TLS": "none",
    }


@pytest.mark.parametrize("email", ["josé@example.com", "straße@example.com", "用户@example.com"])
async def test_b10_an_address_that_mail_cannot_reach_is_a_422(client: Client, email: str) -> None:
    answer = await client.register(email=email)
    assert answer.status_code == 422
    assert [(one["loc"], one["type"]) for one in answer.json()["errors"]] == [
        (["body", "email"], "email_not_reachable")
    ]
    assert email not in answer.text


async def test_b10_an_address_in_ascii_is_accepted(client: Client) -> None:
    assert (await client.register()).status_code == 201

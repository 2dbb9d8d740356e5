"""What is said when a port cannot be opened."""

import socket

import pytest

from govid.gateway.cli.errors import CommandError
from govid.gateway.cli.serving.listening import open_listener

SETTING = "GOVID_MANAGEMENT_PORT"


def test_an_address_of_another_machine_names_the_setting_of_the_address() -> None:
    # A network for documentation (RFC 5737).
    with pytest.raises(CommandError) as caught:
        open_listener("192.0.2.1", 0, setting=SETTING)
    assert caught.value.remedy == "Set GOVID_MANAGEMENT_HOST to an address of this machine."


def test_a_port_that_is_in_use_names_the_setting_of_the_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CommandError) as caught:
            open_listener("127.0.0.1", port, setting=SETTING)
    assert caught.value.remedy == (
        f"Stop the program that uses it, or choose another: GOVID_MANAGEMENT_PORT={port + 1}."
    )

"""The limits: what ships, what a demonstration does without, and what is refused."""

import pytest

from govid.gateway.settings import SettingsError, load_from_environment
from govid.identity import ThrottleSettings


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start from an empty environment."""
    monkeypatch.setattr("os.environ", {})


def test_in_production_the_limits_are_those_of_the_design() -> None:
    assert load_from_environment(env_file=None).identity.throttle == ThrottleSettings(
        failures=6,
        lock_seconds=900,
        max_lock_seconds=7200,
        address_failures=100,
        registrations=30,
        duplicates=10,
    )


def test_a_demonstration_counts_no_registrations_unless_it_is_asked_to() -> None:
    throttle = load_from_environment(demonstration=True, env_file=None).identity.throttle
    assert (throttle.registrations, throttle.duplicates) == (0, 0)
    reported = {"GOVID_REGISTRATIONS_PER_HOUR": 5, "GOVID_DUPLICATES_PER_DAY": 2}
    throttle = load_from_environment(reported, demonstration=True, env_file=None).identity.throttle
    assert (throttle.registrations, throttle.duplicates) == (5, 2)


def test_networks_are_read_with_commas_and_as_json() -> None:
    settings = load_from_environment(
        {
            "GOVID_TRUSTED_PROXIES": "10.0.0.0/8, 2001:db8::/32",
            "GOVID_TRUSTED_CALLERS": '["192.0.2.1"]',
        },
        env_file=None,
    )
    assert settings.trusted_proxies == ("10.0.0.0/8", "2001:db8::/32")
    assert settings.identity.throttle.trusted_networks == ("192.0.2.1",)


@pytest.mark.parametrize("name", ["GOVID_TRUSTED_PROXIES", "GOVID_TRUSTED_CALLERS"])
@pytest.mark.parametrize("value", ["*", "proxy.example", "10.0.0.1/8", "10.0.0.0/8,nonsense"])
def test_r7_what_is_no_network_stops_the_start(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=rf"^{name} .*: a network is written like"):
        load_from_environment({name: value}, env_file=None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GOVID_LOGIN_FAILURES", 0),
        ("GOVID_LOGIN_LOCK_SECONDS", 0),
        ("GOVID_LOGIN_LOCK_MAX_SECONDS", "inf"),
        ("GOVID_ADDRESS_FAILURES", -1),
    ],
)
def test_limits_that_would_protect_no_one_stop_the_start(name: str, value: object) -> None:
    with pytest.raises(SettingsError, match=name):
        load_from_environment({name: value}, env_file=None)

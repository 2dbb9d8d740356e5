"""No installation starts with a password hash that is too weak."""

import pytest

from govid.gateway import settings, wiring

SECRET = "a secret for tests of 32 bytes or more"


def build(time_cost: int, memory_kib: int) -> wiring.Components:
    return wiring.assemble_components(
        settings.load_from_environment(
            {
                "GOVID_DATABASE_URL": "postgresql://nobody:nothing@127.0.0.1:1/none",
                "GOVID_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
                "GOVID_PSEUDONYM_KEY": SECRET,
                "GOVID_KEY_ENCRYPTION_KEY": SECRET[::-1],
                "GOVID_ARGON2_TIME_COST": time_cost,
                "GOVID_ARGON2_MEMORY_KIB": memory_kib,
            },
            demonstration=True,
            env_file=None,
        )
    )


FLOORS = [(1, 47104), (2, 19456), (3, 12288)]


@pytest.mark.parametrize(("time_cost", "memory_kib"), FLOORS)
def test_r1_a_minimum_is_enough_to_start(time_cost: int, memory_kib: int) -> None:
    assert build(time_cost, memory_kib).modules


@pytest.mark.parametrize(("time_cost", "memory_kib"), FLOORS)
def test_r1_a_minimum_minus_one_stops_the_start(time_cost: int, memory_kib: int) -> None:
    with pytest.raises(ValueError, match=r"too weak|greater than or equal to 12288"):
        build(time_cost, memory_kib - 1)

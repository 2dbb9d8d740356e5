"""How long events are kept, as it is set and as it is."""

import pytest

from govid.gateway.checks.production import warnings
from govid.gateway.settings import Settings, load_from_environment

WARNING = "events outlive GOVID_RETENTION_DAYS, because Kafka keeps its records longer"


def settings(**changes: object) -> Settings:
    return load_from_environment(changes, env_file=None)


@pytest.mark.parametrize(
    ("retention", "kafka", "kept"), [(90, 7, 90), (30, 100, 100), (0.5, 0.5, 0.5)]
)
def test_events_are_kept_at_least_as_long_as_kafkas_records(
    retention: float, kafka: float, kept: float
) -> None:
    reported = settings(GOVID_RETENTION_DAYS=retention, GOVID_KAFKA_RETENTION_DAYS=kafka)
    assert reported.bus.row_retention_days == kept


def test_nothing_set_is_ninety_days() -> None:
    assert settings().bus.row_retention_days == 90
    assert WARNING not in warnings(settings())


def test_a_retention_that_is_not_kept_is_reported() -> None:
    assert WARNING in warnings(settings(GOVID_RETENTION_DAYS=3))

"""The invariants that belong to no single part, by their numbers in ARCHITECTURE.md."""

import importlib
import pkgutil
from collections.abc import Iterator

import msgspec
import pytest
from litestar import get

import govid
from govid.bus.delivery.subscriptions import RELAY
from govid.bus.shared.privacy import RedactedStruct, personal_field_names
from govid.gateway import settings, wiring
from govid.gateway.app import create_app
from govid.gateway.endpoints import root

PERSONAL = {
    "email",
    "email_canonical",
    "identifier_value",
    "medical_history",
    "nhs_number",
    "nino",
    "password",
    "password_hash",
    "patient_identifier",
    "phone_number",
    "private_key",
    "tax_number",
}
SECRET = "a secret for tests of 32 bytes or more"


@pytest.fixture
def chosen() -> settings.Settings:
    """Return settings that suffice to build the components; nothing listens at their addresses."""
    return settings.load_from_environment(
        {
            "GOVID_DATABASE_URL": "postgresql://nobody:nothing@127.0.0.1:1/none",
            "GOVID_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
            "GOVID_PSEUDONYM_KEY": SECRET,
            "GOVID_KEY_ENCRYPTION_KEY": SECRET,
        },
        demonstration=True,
        env_file=None,
    )


def test_i8_a_route_that_does_not_say_who_may_come_stops_the_start(
    chosen: settings.Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    @get("/open-to-all", sync_to_thread=False)
    def careless() -> None:
        """Say neither."""

    monkeypatch.setattr(root, "welcome", careless)
    with pytest.raises(RuntimeError, match=r"GET[A-Z ]* /open-to-all$"):
        create_app(chosen)


def test_examples_of_answers_are_written_by_hand(chosen: settings.Settings) -> None:
    # Made-up ones load Faker, which costs half a second and 17 MB for examples that are dropped.
    careless = [
        f"{method} {route.path} {status}"
        for route in create_app(chosen)._app.routes
        for method, (handler, _) in getattr(route, "route_handler_map", {}).items()
        for status, answer in (handler.responses or {}).items()
        if answer.generate_examples
    ]
    assert careless == []


def test_i9_every_struct_with_personal_data_is_redacted() -> None:
    # These two are not frozen, and a struct that is not frozen has no frozen base.
    own = {"DemoPerson", "DevState"}
    talkative = [
        f"{struct.__module__}.{struct.__qualname__}"
        for struct in _structs()
        if PERSONAL & set(struct.__struct_fields__) or personal_field_names(struct)
        if not issubclass(struct, RedactedStruct) and struct.__qualname__ not in own
    ]
    assert sorted(talkative) == []


def test_i10_subscribers_are_called_what_they_were_always_called(
    chosen: settings.Settings,
) -> None:
    # A name that changes here leaves deliveries behind without a subscriber: add names, never
    # change one, and take one away only when its last delivery is done.
    components = wiring.assemble_components(chosen)
    names = [consumer.name for module in components.modules for consumer in module.subscribers]
    assert sorted([*names, RELAY]) == [
        "hmrc.consents",
        "hmrc.erasure",
        "hmrc.verification",
        "identity.letters",
        "identity.lifecycle",
        "identity.verification",
        "kafka.relay",
        "nhs.appointments",
        "nhs.booking",
        "nhs.verification",
    ]


def _structs() -> Iterator[type[msgspec.Struct]]:
    """Yield every struct of govid."""
    for module in pkgutil.walk_packages(govid.__path__, "govid."):
        if module.name != "govid.__main__":
            importlib.import_module(module.name)
    waiting = list(msgspec.Struct.__subclasses__())
    while waiting:
        struct = waiting.pop()
        waiting += struct.__subclasses__()
        if struct.__module__.startswith("govid."):
            yield struct

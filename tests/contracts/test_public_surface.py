"""Whatever clients, consumers, operators and dashboards rely on is as it was agreed."""

import msgspec
import pytest

from tests.contracts.public_surface import FILE, differences, surface

AGREED = msgspec.json.decode(FILE.read_bytes())


@pytest.fixture(scope="module")
def found() -> dict[str, object]:
    """Return the surface of the code that is tested."""
    return msgspec.json.decode(msgspec.json.encode(surface()))  # type: ignore[no-any-return]


@pytest.mark.parametrize("kind", AGREED)
def test_the_public_surface_is_as_agreed(found: dict[str, object], kind: str) -> None:
    assert list(differences(AGREED[kind], found[kind])) == []


def test_a_word_changes_nothing_and_a_member_does() -> None:
    old = {"summary": "Old words.", "type": "urn:x", "members": ["a", "b"]}
    assert list(differences(old, {**old, "members": ["a", "c"]})) == [
        "/members: 'b' is gone",
        "/members: 'c' is new",
    ]

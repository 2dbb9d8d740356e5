"""Messages to practices hold against HAPI's validator: base FHIR R4, without UK Core's profiles."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from msgspec import structs

from govid.nhs.clients.bars_messages import BookingMessage, build_appointment
from tests.conftest import unavailable
from tests.unit.nhs.clients.test_bars_messages import BOOKING, NOON, ORDER, SLOTS

FOLDER = Path(__file__).parent / "fhir"
ONE_SLOT = structs.replace(ORDER, slots=SLOTS[:1], description="")
MESSAGES: dict[str, BookingMessage] = {
    "book": BOOKING,
    "book-one-slot": structs.replace(BOOKING, resource=build_appointment(ONE_SLOT), order=ONE_SLOT),
    "book-unknown-receiver": structs.replace(BOOKING, receiver=None),
    "move": structs.replace(BOOKING, reason="update"),
    "move-unknown-receiver": structs.replace(BOOKING, reason="update", receiver=None),
}


def broken(message: bytes) -> bytes:
    """Return *message* with a reference by id, which finds no entry that has a `urn:uuid`."""
    return re.sub(rb'"slot":\[\{"reference":"[^"]+"', b'"slot":[{"reference":"Slot/slot0"', message)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_f14_messages_to_practices_are_valid_fhir(tmp_path: Path) -> None:
    if missing := [tool for tool in ("java", "mvn") if shutil.which(tool) is None]:
        unavailable(f"not installed: {missing}")
    copy = ["mvn", "-q", "-B", "dependency:copy-dependencies", f"-DoutputDirectory={tmp_path}/lib"]
    subprocess.run([*copy, f"-DbuildDirectory={tmp_path}"], cwd=FOLDER, check=True)
    files = {tmp_path / f"{name}.json": one.encode(NOON) for name, one in MESSAGES.items()}
    files[tmp_path / "broken.json"] = broken(BOOKING.encode(NOON))
    # One JVM for all: it takes ten seconds to read FHIR's definitions.
    validate = ["java", "-cp", f"{tmp_path}/lib/*", str(FOLDER / "Validate.java")]
    ran = subprocess.run(
        [*validate, *map(_written, files.items())],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = ran.stdout.splitlines()
    assert [one for one in lines if one.endswith(": read")] == [f"{f.name}: read" for f in files]
    faults = [one for one in lines if not one.endswith(": read")]
    assert [one for one in faults if not one.startswith("broken.json")] == []
    # The validator looks: it finds what was broken on purpose.
    assert faults != []


def _written(item: tuple[Path, bytes]) -> Path:
    path, content = item
    path.write_bytes(content)
    return path

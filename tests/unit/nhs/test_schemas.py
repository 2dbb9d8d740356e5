"""What the NHS reads and shows says nothing about a person in a repr (I9)."""

import pytest

from govid.nhs import examples, schemas


@pytest.mark.parametrize(
    ("struct", "shown"),
    [
        (schemas.FilePatient(name="Jane", nhs_number="9434765919"), "<FilePatient>"),
        (examples.PATIENTS[0].value, "<PatientView>"),
        (examples.APPOINTMENTS[0].value, "<AppointmentView>"),
    ],
)
def test_a_repr_names_the_struct_only(struct: object, shown: str) -> None:
    assert repr(struct) == shown

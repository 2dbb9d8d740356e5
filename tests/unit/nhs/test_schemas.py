"""What the NHS reads and shows says nothing about a person in a repr (I9)."""

import pytest

from govid.nhs import openapi_examples, schemas


@pytest.mark.parametrize(
    ("struct", "shown"),
    [
        (schemas.FilePatient(name="Jane", nhs_number="9434765919"), "<FilePatient>"),
        (openapi_examples.PATIENTS[0].value, "<PatientView>"),
        (openapi_examples.APPOINTMENTS[0].value, "<AppointmentView>"),
    ],
)
def test_a_repr_names_the_struct_only(struct: object, shown: str) -> None:
    assert repr(struct) == shown

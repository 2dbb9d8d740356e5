"""What HMRC reads and shows says nothing about a person in a repr (I9)."""

import msgspec
import pytest

from govid.hmrc import openapi_examples, schemas

FILE = msgspec.json.decode(
    msgspec.json.encode(openapi_examples.FILE_TAX_RECORD), type=schemas.FileTaxRecord
)


@pytest.mark.parametrize(
    ("struct", "shown"),
    [(FILE, "<FileTaxRecord>"), (openapi_examples.TAX_RECORDS[0].value, "<TaxRecordView>")],
)
def test_a_repr_names_the_struct_only(struct: object, shown: str) -> None:
    assert repr(struct) == shown


def test_the_documented_example_is_a_valid_request() -> None:
    assert (FILE.utr, FILE.tax_year, str(FILE.amount)) == ("1000057161", "2022-2023", "1250.50")

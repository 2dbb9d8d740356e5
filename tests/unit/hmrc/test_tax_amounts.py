"""Money in JSON is exact."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from govid.hmrc import tax_values

amounts = st.decimals(
    min_value=Decimal("-9999999999999.99"),
    max_value=Decimal("9999999999999.99"),
    places=2,
).filter(lambda amount: not (amount.is_zero() and amount.is_signed()))


@pytest.mark.parametrize(
    ("raw", "amount"),
    [
        (b"0", "0"),
        (b"12", "12"),
        (b"12.5", "12.5"),
        (b"0.01", "0.01"),
        (b"-0.01", "-0.01"),
        (b'"12.50"', "12.50"),
        (b"9999999999999.99", "9999999999999.99"),
    ],
)
def test_numbers_and_decimal_strings_are_read(raw: bytes, amount: str) -> None:
    assert str(tax_values.parse_amount(msgspec.Raw(raw))) == amount


@pytest.mark.parametrize(
    "raw",
    [
        *(b"1e2", b"1E2", b"1e-2", b"1.5e1", b'"1e2"', b"0.001", b"0.10000000000000001"),
        *(b'"NaN"', b'"Infinity"', b'"-Infinity"', b"10000000000000", b'"10000000000000.00"'),
        *(b'""', b'" 1"', b'"1 "', b'"+1"', b'"01"', b'".5"', b'"5."', b'"1,000"', b'"1_000"'),
        *(b'"\xd9\xa1"', b'"1\\n"', b'"1\n"', b"true", b"null", b"[1]", b'{"a": 1}', b'"1', b'1"'),
    ],
)
def test_anything_else_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match="must be a number or a decimal string"):
        tax_values.parse_amount(msgspec.Raw(raw))


@pytest.mark.parametrize("raw", [b"-0", b"-0.0", b"-0.00", b'"-0"', b'"-0.00"'])
def test_negative_zero_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match="zero has no sign"):
        tax_values.parse_amount(msgspec.Raw(raw))


@given(amounts)
def test_what_is_written_is_read_again_with_two_decimals(amount: Decimal) -> None:
    raw = tax_values.format_amount(amount)
    assert bytes(raw) == str(amount).encode()
    assert tax_values.parse_amount(raw) == amount

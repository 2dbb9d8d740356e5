"""Tax years are two years that follow one another, however they are written."""

import pytest

from govid.hmrc.tax_values import TaxYear


@pytest.mark.parametrize(
    ("full", "short"),
    [
        ("2022-2023", "2022-23"),
        ("1999-2000", "1999-00"),
        ("2008-2009", "2008-09"),
        ("2099-2100", "2099-00"),
    ],
)
def test_a_tax_year_is_one_in_both_forms(full: str, short: str) -> None:
    assert TaxYear.parse_full(full) == TaxYear.parse_short(short)
    assert (TaxYear.parse_short(short).full, TaxYear.parse_full(full).short) == (full, short)


@pytest.mark.parametrize(
    "text",
    ["", "2022", "2022-23", "2022/2023", "2022-2022", "2022-2024", "2023-2022", "2022-2023\n"],
)
def test_anything_else_is_refused_in_full(text: str) -> None:
    with pytest.raises(ValueError, match="2022-2023"):
        TaxYear.parse_full(text)


@pytest.mark.parametrize(
    "text", ["", "2022", "2022-2023", "2022/23", "2022-22", "2022-24", "2023-22", "2022-23\n"]
)
def test_anything_else_is_refused_in_short(text: str) -> None:
    with pytest.raises(ValueError, match="2022-23"):
        TaxYear.parse_short(text)


@pytest.mark.parametrize("text", ["2022-2023", "2022-23", "1999-2000", "1999-00", "2099-00"])
def test_d8_either_form_is_read(text: str) -> None:
    assert text in {TaxYear.parse(text).full, TaxYear.parse(text).short}


@pytest.mark.parametrize(
    "text", ["", "2022", "2022-2", "2022-024", "2022-24", "22-23", "2022-23\n"]
)
def test_d8_what_is_neither_is_refused_with_both(text: str) -> None:
    with pytest.raises(ValueError, match="2022-2023 or 2022-23"):
        TaxYear.parse(text)


def test_digits_of_other_scripts_are_refused() -> None:
    with pytest.raises(ValueError, match="2022-2023"):
        TaxYear.parse_full("٢٠٢٢-٢٠٢٣")


def test_tax_years_are_in_order() -> None:
    assert TaxYear.parse_short("1999-00") < TaxYear.parse_short("2000-01")

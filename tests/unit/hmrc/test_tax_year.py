"""Tax years are two years that follow one another."""

import pytest

from govid.hmrc import tax_year


@pytest.mark.parametrize("text", ["2022-2023", "1999-2000", "2099-2100"])
def test_consecutive_years_are_a_tax_year(text: str) -> None:
    assert tax_year.check(text) == text


@pytest.mark.parametrize(
    "text",
    ["", "2022", "2022-23", "2022/2023", "2022-2022", "2022-2024", "2023-2022", "2022-2023\n"],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="2022-2023"):
        tax_year.check(text)


def test_digits_of_other_scripts_are_refused() -> None:
    with pytest.raises(ValueError, match="2022-2023"):
        tax_year.check("٢٠٢٢-٢٠٢٣")

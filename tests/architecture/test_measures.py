"""Names, files and folders keep the measures of CONTRIBUTING.md ("Names" and "Files")."""

from pathlib import Path

import pytest

from tests.architecture import measures


def test_at_most_a_fifth_of_the_class_names_are_one_word() -> None:
    assert measures.one_word_share(measures.class_names()) <= 0.20


def test_hardly_a_class_name_is_used_for_two_things() -> None:
    names = measures.class_names()
    assert measures.ambiguous_share(names) <= 0.05, measures.ambiguous(names)


def test_no_file_is_longer_than_500_lines() -> None:
    assert measures.long_files(500) == []


def test_no_folder_holds_more_than_25_files() -> None:
    assert measures.crowded_folders(25) == []


def test_no_two_places_have_ten_equal_lines() -> None:
    assert measures.equal_lines() == []


def test_the_measures_see_what_they_measure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = "".join(f"    x{number} = {number}\n" for number in range(measures.EQUAL_LINES))
    for name in ("first.py", "second.py"):
        (tmp_path / name).write_text(f"class Order:\n{lines}", "utf-8")
    monkeypatch.setattr(measures, "ROOT", tmp_path)
    monkeypatch.setattr(measures, "SOURCE", tmp_path)
    names = measures.class_names()
    assert measures.one_word_share(names) == 1
    assert measures.ambiguous(names) == {"Order": ["first.py", "second.py"]}
    assert measures.long_files(10) == ["first.py: 11", "second.py: 11"]
    assert measures.crowded_folders(1) == [".: 2"]
    assert [one.count for one in measures.equal_lines()] == [11]

"""Which passwords are accepted, with and without the lists."""

import tracemalloc

import pytest

from govid.identity.errors import FieldError
from govid.identity.password_policy import (
    MAX_COMMON,
    PasswordBlocklists,
    PasswordPolicy,
    fold_for_comparison,
)

EMAIL = "jane.q.doe@example.com"
NINO = "AB123456C"
PLAIN = PasswordPolicy(min_length=8, refuse_guessable=False)
CHECKED = PasswordPolicy(min_length=8, refuse_guessable=True)
LISTS = PasswordBlocklists(min_length=8)

COMMON = ["password", "password123", "PassWord123", "pass word 123", "ｐａｓｓｗｏｒｄ", "12345678"]
BREACHED = ["liverpool123", "Password2020", "00000007"]
CONTEXT = [
    "govid is grand",
    "xxHMRCxxyy",
    "my AB 12 34 56 C",
    "jane.q.doe or not",
    "ＪＡＮＥ.q.doe2",
    "what jane thinks",
]
ADMITTED = [
    "nhs loves flowers",
    "a q and a doe apart",
    "tangled otter banister",
    "zq8#Vt!m",
    "🦦🦦🦔🦔🌲🌲🪨🪨",
]


def refusal(policy: PasswordPolicy, password: str, identifier: str | None = NINO) -> str | None:
    try:
        policy.validate(password, email=EMAIL, identifier=identifier)
    except FieldError as fault:
        return fault.kind
    return None


@pytest.mark.parametrize("password", COMMON)
def test_r2_what_everyone_uses_is_refused(password: str) -> None:
    assert refusal(CHECKED, password) == "password_common"


@pytest.mark.parametrize("password", BREACHED)
def test_r2_what_was_stolen_elsewhere_is_refused(password: str) -> None:
    assert refusal(CHECKED, password) == "password_breached"


@pytest.mark.parametrize("password", CONTEXT)
def test_r2_what_the_owner_gives_away_is_refused(password: str) -> None:
    assert refusal(CHECKED, password) == "password_context"


@pytest.mark.parametrize("number", ["NHS123456789", "nhs 123 456 789", "123456789"])
def test_r2_the_own_nhs_number_is_refused_in_every_form(number: str) -> None:
    assert refusal(CHECKED, f"is {number}?", "NHS123456789") == "password_context"


@pytest.mark.parametrize("password", ADMITTED)
def test_r2_everything_else_is_admitted(password: str) -> None:
    assert refusal(CHECKED, password) is None


@pytest.mark.parametrize("password", [*COMMON, *BREACHED, *CONTEXT, *ADMITTED])
def test_r2_without_the_lists_length_is_all(password: str) -> None:
    assert refusal(PLAIN, password) is None


def test_r2_length_comes_first() -> None:
    assert refusal(CHECKED, "qwerty") == "password_too_short"


@pytest.mark.parametrize("password", ["\0" * 20, "\U0010ffff" * 30, "~" * 256, "\n" * 25, " " * 10])
def test_the_lists_can_be_asked_for_anything(password: str) -> None:
    assert refusal(CHECKED, password) is None


def test_what_has_no_owner_yet_is_held_against_the_service_only() -> None:
    assert CHECKED.validate("what jane thinks", email=None, identifier=None) == "what jane thinks"


def test_a_longer_minimum_takes_the_most_used_of_what_it_lets_through() -> None:
    assert PasswordBlocklists(min_length=12).is_common("counterstrike")
    assert not LISTS.is_common("counterstrike")
    assert len(LISTS._common) == MAX_COMMON


def test_the_lists_cost_little_memory() -> None:
    tracemalloc.start()
    lists = PasswordBlocklists(min_length=8)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert lists.is_common("password")
    assert held < 3_000_000


def test_guesses_are_compared_without_case_width_and_spaces() -> None:
    assert fold_for_comparison(" Ｓtra ße\u00a0") == "strasse"


def test_the_rules_are_reported_as_data() -> None:
    assert PLAIN.describe().refusals == (
        "password_too_short",
        "password_too_long",
        "password_not_text",
    )
    assert CHECKED.describe().refusals[3:] == (
        "password_common",
        "password_breached",
        "password_context",
    )
    assert PasswordPolicy(min_length=20, refuse_guessable=False).describe().advised_length == 20

"""Declares settings: field helpers and the types of lists."""

from typing import Any, Literal

from pydantic import AliasChoices, Field

DepartmentMode = Literal["auto", "remote", "simulator", "off"]
"""Which client serves a department."""


def setting_field(default: Any, *names: str, doc: str, **limits: Any) -> Any:
    """Declare a setting with all its names, govid's own first."""
    return Field(default, validation_alias=AliasChoices(*names), description=doc, **limits)

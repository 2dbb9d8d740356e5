"""How one setting is declared."""

from typing import Any, Literal

from pydantic import AliasChoices, Field

Port = Literal["auto", "remote", "simulator", "off"]
"""What stands at a department's port."""


def named(default: Any, *names: str, doc: str, **limits: Any) -> Any:
    """Declare a setting by all its names, govid's own first."""
    return Field(default, validation_alias=AliasChoices(*names), description=doc, **limits)

"""Imports the public names of a package when they are first used.

A module's package offers its settings and its use cases. A command that only reads settings must
not pay for importing the use cases, which load a web framework and an ORM (I13).
"""

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def import_on_use(
    package: str, names_by_module: Mapping[str, Sequence[str]]
) -> Callable[[str], Any]:
    """Return the `__getattr__` (PEP 562) of *package*.

    *names_by_module* lists the attributes that each module of the package defines. After its first
    use an attribute is stored in the package, so that later uses cost nothing.
    """
    modules = {name: module for module, names in names_by_module.items() for name in names}

    def __getattr__(name: str) -> Any:  # noqa: N807 - the name that PEP 562 gives it
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        found = getattr(importlib.import_module(f"{package}.{modules[name]}"), name)
        setattr(sys.modules[package], name, found)
        return found

    return __getattr__

"""Corrects the framework's OpenAPI document where validators and client generators refuse it.

Each function changes the document in place; its docstring names the defect of Litestar 2.25.
"""

import re
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]

_PARAMETER = re.compile(r"\{[^}]*\}")
_SHARED = "key"


def correct_document(document: Json) -> None:
    """Make *document* valid, and its request schemas as strict as the decoder."""
    _drop_example_ids(document)
    _collapse_open_alternatives(document)
    _unwrap_references(document)
    _close_requests(document)
    _require_parameters_not_null(document)
    _merge_equal_paths(document)


def _drop_example_ids(document: Json) -> None:
    """Example objects carry their own name as `id`, which the standard does not allow."""
    for node in _nodes(document["paths"]):
        examples = node.get("examples")
        if isinstance(examples, dict):
            for example in examples.values():
                example.pop("id", None)


def _collapse_open_alternatives(document: Json) -> None:
    """A constrained text is described as `oneOf` text or anything, which no text matches."""
    for node in _nodes(document):
        alternatives = node.get("oneOf")
        if isinstance(alternatives, list) and {} in alternatives:
            kept = [one for one in alternatives if one]
            del node["oneOf"]
            node.update(kept[0] if len(kept) == 1 else {"oneOf": kept})


def _unwrap_references(document: Json) -> None:
    """A body is `allOf` one schema, only to repeat examples that are already present."""
    for node in _nodes(document["paths"]):
        schema = node.get("schema", {})
        if len(schema.get("allOf", [])) == 1:
            node["schema"] = schema["allOf"][0]


def _close_requests(document: Json) -> None:
    """Requests refuse unknown members, but the document lacks `additionalProperties: false`."""
    found: set[str] = set()
    waiting = [
        operation["requestBody"]
        for path in document["paths"].values()
        for operation in path.values()
        if "requestBody" in operation
    ]
    while waiting:
        for node in _nodes(waiting.pop()):
            name = str(node.get("$ref", "")).removeprefix("#/components/schemas/")
            if name and name not in found:
                found.add(name)
                waiting.append(document["components"]["schemas"][name])
    for name in found:
        schema = document["components"]["schemas"][name]
        if schema.get("type") == "object":
            schema["additionalProperties"] = False


def _require_parameters_not_null(document: Json) -> None:
    """A parameter that may be left out is described as one that may be null."""
    for node in _nodes(document["paths"]):
        for parameter in node.get("parameters", []):
            schema = parameter["schema"]
            alternatives = [one for one in schema.get("oneOf", []) if one != {"type": "null"}]
            if len(alternatives) == 1:
                del schema["oneOf"]
                schema.update(alternatives[0])


def _merge_equal_paths(document: Json) -> None:
    """Two routes whose paths differ in a parameter's name only must be one path of the document."""
    shapes: dict[str, list[str]] = {}
    for path in document["paths"]:
        shapes.setdefault(_PARAMETER.sub("{}", path), []).append(path)
    for equal in shapes.values():
        if len(equal) == 1:
            continue
        merged: Json = {}
        for path in equal:
            operations = document["paths"].pop(path)
            for operation in operations.values():
                for parameter in operation["parameters"]:
                    if parameter["in"] == "path":
                        parameter["name"] = _SHARED
            merged |= operations
        document["paths"][_PARAMETER.sub(f"{{{_SHARED}}}", equal[0])] = merged


def _nodes(value: Any) -> Iterator[Json]:
    """Yield all objects in *value*, the outer ones first."""
    if isinstance(value, dict):
        yield value
        for member in list(value.values()):
            yield from _nodes(member)
    elif isinstance(value, list):
        for item in value:
            yield from _nodes(item)

"""F2: the description of the API is what validators and generators of clients take."""

from collections.abc import Iterator
from typing import Any

import pytest
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.http.client import Client

Json = dict[str, Any]


@pytest.fixture
async def document(visitor: Client) -> Json:
    answer = await visitor.get("/openapi.json")
    return dict(answer.json())


def operations(document: Json) -> Iterator[tuple[str, Json]]:
    """Return all operations by method and path."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method} {path}", operation


def contents(document: Json) -> Iterator[tuple[str, Json]]:
    """Return what is sent and answered, with a name for each."""
    for name, operation in operations(document):
        bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
        for body in bodies:
            for media_type, content in body.get("content", {}).items():
                yield f"{name} {media_type}", content


def request_schemas(document: Json) -> Iterator[tuple[str, Json]]:
    """Return the schemas of all bodies that are sent."""
    for name, operation in operations(document):
        for content in operation.get("requestBody", {}).get("content", {}).values():
            yield name, resolved(document, content["schema"])


def resolved(document: Json, schema: Json) -> Json:
    """Follow a reference into the components."""
    name = str(schema.get("$ref", "")).removeprefix("#/components/schemas/")
    return dict(document["components"]["schemas"][name]) if name else schema


def faults(document: Json, schema: Json, value: Any) -> list[str]:
    """Return what is wrong with *value* as *schema* has it."""
    whole = {**schema, "components": document["components"]}
    validator = OAS31Validator(whole, format_checker=OAS31Validator.FORMAT_CHECKER)
    return [error.message for error in validator.iter_errors(value)]


async def test_f2_the_document_is_valid(document: Json) -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()] == []


async def test_f2_every_example_of_an_answer_is_valid(document: Json) -> None:
    examples = [
        (f"{name} {example}", content["schema"], shown["value"])
        for name, content in contents(document)
        for example, shown in content.get("examples", {}).items()
    ]
    assert len(examples) > 25
    assert [
        (name, wrong)
        for name, schema, value in examples
        if (wrong := faults(document, schema, value))
    ] == []


async def test_f2_every_example_of_a_request_is_valid(document: Json) -> None:
    examples = [
        (name, schema, value)
        for name, schema in request_schemas(document)
        for value in schema["examples"]
    ]
    assert len(examples) > 15
    assert [
        (name, wrong)
        for name, schema, value in examples
        if (wrong := faults(document, schema, value))
    ] == []


async def test_f2_no_request_takes_unknown_members(document: Json) -> None:
    assert [
        name
        for name, schema in request_schemas(document)
        if schema.get("additionalProperties") is not False
    ] == []


async def test_f2_no_two_paths_differ_in_a_name_only(document: Json) -> None:
    shapes = [
        "/".join("{}" if "{" in part else part for part in path.split("/"))
        for path in document["paths"]
    ]
    assert len(shapes) == len(set(shapes))


@pytest.mark.parametrize(
    ("schema", "member", "value"),
    [
        ("RequestAppointment", "requested_datetime", "2030-03-04T09:30:00"),
        ("RequestAppointment", "requested_datetime", "2030-03-04T09:30:00+01:00"),
        ("BookSlots", "slots", ["2000011147-20300304T0930"]),
        ("MoveAppointment", "slots", ["a", "b"]),
        ("FileTaxRecord", "taxAmount", "12.50"),
        ("FileTaxRecord", "taxAmount", 12.5),
        ("Register", "phoneNumber", None),
        ("Register", "phoneNumber", "+447123456789"),
    ],
)
async def test_f2_what_is_taken_is_described(
    document: Json, schema: str, member: str, value: Any
) -> None:
    described = document["components"]["schemas"][schema]["properties"][member]
    assert faults(document, described, value) == []


@pytest.mark.parametrize(
    ("schema", "member", "value"),
    [
        ("BookSlots", "slots", []),
        ("BookSlots", "slots", [5]),
        ("RequestAppointment", "requested_datetime", 5),
        ("FileTaxRecord", "taxAmount", True),
    ],
)
async def test_f2_what_is_refused_is_not_described(
    document: Json, schema: str, member: str, value: Any
) -> None:
    described = document["components"]["schemas"][schema]["properties"][member]
    assert faults(document, described, value) != []

"""Serves the OpenAPI document at `/openapi.json`: Litestar's, with corrections and common errors.

The corrections are needed where validators and client generators refuse the framework's document.
Each of their functions changes the document in place; its docstring names the defect of
Litestar 2.25.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from litestar import Litestar, Request, Response, get
from litestar.datastructures import State
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme, Tag
from litestar.routes import HTTPRoute

from govid import __version__
from govid.gateway.endpoints.openapi_viewer import build_viewer_router
from govid.gateway.http.problems import MEDIA_TYPE, Problem

Json = dict[str, Any]

_PARAMETER = re.compile(r"\{[^}]*\}")
_SHARED_PARAMETER_NAME = "key"


def correct_document(document: Json) -> None:
    """Make *document* valid, and its request schemas as strict as the decoder."""
    _drop_example_ids(document)
    _collapse_open_alternatives(document)
    _unwrap_references(document)
    _close_requests(document)
    _require_parameters_not_null(document)
    _merge_equal_paths(document)


def _drop_example_ids(document: Json) -> None:
    """Remove the `id` of example objects, which the standard does not allow."""
    for node in _iterate_objects(document["paths"]):
        examples = node.get("examples")
        if isinstance(examples, dict):
            for example in examples.values():
                example.pop("id", None)


def _collapse_open_alternatives(document: Json) -> None:
    """Replace `oneOf` of a constrained text and anything, which no text matches, by the text."""
    for node in _iterate_objects(document):
        alternatives = node.get("oneOf")
        if isinstance(alternatives, list) and {} in alternatives:
            kept = [one for one in alternatives if one]
            del node["oneOf"]
            node.update(kept[0] if len(kept) == 1 else {"oneOf": kept})


def _unwrap_references(document: Json) -> None:
    """Replace `allOf` of one schema, which only repeats present examples, by that schema."""
    for node in _iterate_objects(document["paths"]):
        schema = node.get("schema", {})
        if len(schema.get("allOf", [])) == 1:
            node["schema"] = schema["allOf"][0]


def _close_requests(document: Json) -> None:
    """Add `additionalProperties: false` to requests, because they refuse unknown members."""
    found: set[str] = set()
    waiting = [
        operation["requestBody"]
        for path in document["paths"].values()
        for operation in path.values()
        if "requestBody" in operation
    ]
    while waiting:
        for node in _iterate_objects(waiting.pop()):
            name = str(node.get("$ref", "")).removeprefix("#/components/schemas/")
            if name and name not in found:
                found.add(name)
                waiting.append(document["components"]["schemas"][name])
    for name in found:
        schema = document["components"]["schemas"][name]
        if schema.get("type") == "object":
            schema["additionalProperties"] = False


def _require_parameters_not_null(document: Json) -> None:
    """Describe an optional parameter as one that may be absent, not as one that may be null."""
    for node in _iterate_objects(document["paths"]):
        for parameter in node.get("parameters", []):
            schema = parameter["schema"]
            alternatives = [one for one in schema.get("oneOf", []) if one != {"type": "null"}]
            if len(alternatives) == 1:
                del schema["oneOf"]
                schema.update(alternatives[0])


def _merge_equal_paths(document: Json) -> None:
    """Merge paths that differ only in the name of a parameter, as the standard requires."""
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
                        parameter["name"] = _SHARED_PARAMETER_NAME
            merged |= operations
        document["paths"][_PARAMETER.sub(f"{{{_SHARED_PARAMETER_NAME}}}", equal[0])] = merged


def _iterate_objects(value: Any) -> Iterator[Json]:
    """Yield all objects in *value*, the outer ones first."""
    if isinstance(value, dict):
        yield value
        for member in list(value.values()):
            yield from _iterate_objects(member)
    elif isinstance(value, list):
        for item in value:
            yield from _iterate_objects(item)


PUBLIC = "the API's description is no secret"
_REFUSALS = {
    "400": "The request was refused; `detail` gives the reason.",
    "401": "There is no bearer token, or it is not valid.",
    "403": "Not allowed.",
    "404": "The resource does not exist, or it is not yours.",
    "408": "The body took too long to arrive.",
    "409": "The request conflicts with the current state; read the resource again.",
    "412": "The resource has changed since you read it: `If-Match` names another version.",
    "413": "The body is too large.",
    "414": "The address is too long.",
    "415": "The body is not JSON, or is compressed.",
    "421": "This service is not reached by that name.",
    "422": "The request is not valid; `errors` names the fields.",
    "428": "The header `If-Match` with the version that you have read is required.",
    "429": "Too many requests; `Retry-After` says when to try again.",
    "431": "The headers are too large.",
    "503": "Not available at the moment; `Retry-After` says when to try again.",
}
_EDGE_STATUSES = {"400", "414", "421", "422", "431", "503"}
"""Statuses with which the edge may refuse any request."""
_BODY_STATUSES = {"408", "413", "415"}
_FRAMEWORK_DESCRIPTION = "Bad request syntax or unsupported method"
"""How Litestar describes its own 400, for errors that govid answers with 422."""


def build_openapi_config() -> OpenAPIConfig:
    """Return the framework's OpenAPI configuration; the viewer pages are govid's own."""
    return OpenAPIConfig(
        title="govid",
        version=__version__,
        description=(
            "A citizen-identity hub for public services. Every error is a problem document "
            "(RFC 9457): `detail` is a sentence, `type` a permanent name."
        ),
        components=Components(
            security_schemes={
                "bearer": SecurityScheme(type="http", scheme="bearer", bearer_format="JWT")
            }
        ),
        tags=[
            Tag(name="identity", description="Accounts, sign-ins, sessions and verification."),
            Tag(name="nhs", description="Patient records and appointments."),
            Tag(name="hmrc", description="Tax records, and the consent to read HMRC's."),
            Tag(name="machine pages", description="For orchestrators, scrapers and clients."),
        ],
        openapi_router=build_viewer_router(PUBLIC),
        # Litestar requires a plugin. Its page is not served: the router drops it.
        render_plugins=[JsonRenderPlugin()],
        use_handler_docstrings=True,
    )


@get("/openapi.json", public=PUBLIC, include_in_schema=False, sync_to_thread=False)
def openapi(request: Request[Any, Any, State]) -> Response[bytes]:
    """Return the document that was rendered at start-up."""
    return Response(request.app.state.openapi_document, media_type="application/json")


def prepare_document(app: Litestar) -> None:
    """Render the document of *app*, before the server accepts requests.

    Rendering takes about 60 ms. During a request it would block all others for that time.
    """
    app.state.openapi_document = render_document(app)


def render_document(app: Litestar) -> bytes:
    """Return the OpenAPI document of *app* as it is served."""
    return msgspec.json.format(msgspec.json.encode(build_document(app)), indent=2)


def build_document(app: Litestar) -> dict[str, Any]:
    """Return the OpenAPI document of *app*: each operation with its security and its errors."""
    schema: dict[str, Any] = app.openapi_schema.to_schema()
    problem, fault = msgspec.json.schema_components(
        [Problem], ref_template="#/components/schemas/{name}"
    )
    schema["components"].setdefault("schemas", {}).update(fault)
    schema["components"]["responses"] = {
        status: _describe_problem(description, problem[0])
        for status, description in _REFUSALS.items()
    }
    for route in app.routes:
        operations = schema["paths"].get(getattr(route, "path_format", None) or "/", {})
        if isinstance(route, HTTPRoute):
            for method, (handler, _) in route.route_handler_map.items():
                if operation := operations.get(method.lower()):
                    _complete_operation(operation, handler.opt, problem[0])
    correct_document(schema)
    return schema


def _complete_operation(operation: dict[str, Any], opt: Mapping[str, Any], problem: Any) -> None:
    """Add the security and the common errors to *operation*.

    A handler lists the further statuses with which it refuses: `refuses=("400",)`.
    """
    is_guarded = "permission" in opt
    operation["security"] = [{"bearer": []}] if is_guarded else []
    if is_guarded:
        operation["x-permission"] = opt["permission"]
    responses = operation["responses"]
    if responses.get("400", {}).get("description") == _FRAMEWORK_DESCRIPTION:
        del responses["400"]
    parameters = operation.get("parameters", [])
    wanted = _EDGE_STATUSES | set(opt.get("refuses", ()))
    wanted |= {"401"} if is_guarded else set()
    wanted |= {"404"} if any(one["in"] == "path" for one in parameters) else set()
    wanted |= _BODY_STATUSES if "requestBody" in operation else set()
    for status in sorted(wanted | (responses.keys() & _REFUSALS.keys())):
        described = responses.get(status)
        if described is None:
            responses[status] = {"$ref": f"#/components/responses/{status}"}
        elif "content" not in described:
            responses[status] = _describe_problem(described["description"], problem)
        else:
            # The handler describes an answer of its own; a problem document is possible too.
            described["content"][MEDIA_TYPE] = {"schema": problem}


def _describe_problem(description: str, schema: Any) -> dict[str, Any]:
    return {"description": description, "content": {MEDIA_TYPE: {"schema": schema}}}

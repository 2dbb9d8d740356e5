"""The API's description at `/openapi.json`: Litestar's, completed with what holds everywhere."""

from collections.abc import Mapping
from typing import Any

import msgspec
from litestar import Litestar, Request, Response, get
from litestar.datastructures import State
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme, Tag
from litestar.routes import HTTPRoute

from govid import __version__
from govid.gateway.openapi_corrections import correct
from govid.gateway.problems import MEDIA_TYPE, Problem
from govid.gateway.viewer import router

PUBLIC = "the API's description is no secret"
_REFUSALS = {
    "400": "Refused, with the reason.",
    "401": "There is no bearer token, or it is not valid.",
    "403": "Not allowed.",
    "404": "There is no such thing, or it is not yours.",
    "408": "The body took too long to arrive.",
    "409": "It is at odds with how things are; read again what they are.",
    "412": "It has changed since you read it: `If-Match` names another version.",
    "413": "The body is too large.",
    "414": "The address is too long.",
    "415": "The body is not JSON, or is compressed.",
    "421": "This service is not reached by that name.",
    "422": "The request is not valid; `errors` names the fields.",
    "428": "Say in `If-Match` which version you have read.",
    "429": "Too many requests; `Retry-After` says when to come back.",
    "431": "The headers are too large.",
    "503": "Not available at the moment; `Retry-After` says when to come back.",
}
_ANYWHERE = {"400", "414", "421", "422", "431", "503"}
"""What the edge may refuse whatever is called."""
_WITH_A_BODY = {"408", "413", "415"}
_FRAMEWORKS = "Bad request syntax or unsupported method"
"""How Litestar announces its own 400, for what govid answers with a 422."""


def configuration() -> OpenAPIConfig:
    """Describe the API as a whole; the pages are ours and not the framework's."""
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
        openapi_router=router(PUBLIC),
        # Litestar wants one. Its page is not added: the router takes none of the framework's.
        render_plugins=[JsonRenderPlugin()],
        use_handler_docstrings=True,
    )


@get("/openapi.json", public=PUBLIC, include_in_schema=False, sync_to_thread=False)
def openapi(request: Request[Any, Any, State]) -> Response[bytes]:
    """Return the document, which `prepare` has made."""
    return Response(request.app.state.openapi_document, media_type="application/json")


def prepare(app: Litestar) -> None:
    """Render the document of *app*, before the server accepts requests.

    It takes some 60 ms, for which every request would wait if it were done during one.
    """
    app.state.openapi_document = rendered(app)


def rendered(app: Litestar) -> bytes:
    """Return the description of *app* as it is served."""
    return msgspec.json.format(msgspec.json.encode(document(app)), indent=2)


def document(app: Litestar) -> dict[str, Any]:
    """Return the description of *app*: each operation with its security and its refusals."""
    schema: dict[str, Any] = app.openapi_schema.to_schema()
    problem, fault = msgspec.json.schema_components(
        [Problem], ref_template="#/components/schemas/{name}"
    )
    schema["components"].setdefault("schemas", {}).update(fault)
    schema["components"]["responses"] = {
        status: _problem(description, problem[0]) for status, description in _REFUSALS.items()
    }
    for route in app.routes:
        operations = schema["paths"].get(getattr(route, "path_format", None) or "/", {})
        if isinstance(route, HTTPRoute):
            for method, (handler, _) in route.route_handler_map.items():
                if operation := operations.get(method.lower()):
                    _complete(operation, handler.opt, problem[0])
    correct(schema)
    return schema


def _complete(operation: dict[str, Any], opt: Mapping[str, Any], problem: Any) -> None:
    """Add to *operation* what its handler does not say itself.

    A handler that refuses for reasons of its own lists the statuses: `refuses=("400",)`.
    """
    guarded = "permission" in opt
    operation["security"] = [{"bearer": []}] if guarded else []
    if guarded:
        operation["x-permission"] = opt["permission"]
    responses = operation["responses"]
    if responses.get("400", {}).get("description") == _FRAMEWORKS:
        del responses["400"]
    parameters = operation.get("parameters", [])
    wanted = _ANYWHERE | set(opt.get("refuses", ()))
    wanted |= {"401"} if guarded else set()
    wanted |= {"404"} if any(one["in"] == "path" for one in parameters) else set()
    wanted |= _WITH_A_BODY if "requestBody" in operation else set()
    for status in sorted(wanted | (responses.keys() & _REFUSALS.keys())):
        described = responses.get(status)
        if described is None:
            responses[status] = {"$ref": f"#/components/responses/{status}"}
        elif "content" not in described:
            responses[status] = _problem(described["description"], problem)
        else:
            # What a handler says itself in such a case is its own, or a problem.
            described["content"][MEDIA_TYPE] = {"schema": problem}


def _problem(description: str, schema: Any) -> dict[str, Any]:
    return {"description": description, "content": {MEDIA_TYPE: {"schema": schema}}}

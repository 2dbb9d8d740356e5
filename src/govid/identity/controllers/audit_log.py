"""Routes by which account holders learn, and prove, who has used their data."""

from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request, Response, Router, get
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, QueryParameter

from govid.bus import (
    DEFAULT_LIMIT,
    AccessEntryView,
    AccessLog,
    AccessProofs,
    AccessProofView,
    ConsistencyProofView,
    Principal,
    VerifierKeysView,
)
from govid.bus.shared.api import PageCursor, PageLimit, describe_response
from govid.identity import openapi_examples

PUBLIC = "verifiers of the audit log need its checkpoints and keys, which hold no personal data"
MAX_SIZE = 2**63 - 1


class KeyDocument(msgspec.Struct, frozen=True, kw_only=True):
    """The public keys of the audit log, which are constant while the process runs."""

    keys: VerifierKeysView
    max_age_seconds: int


@get(
    "/access-log",
    permission="identity.access_log.read",
    summary="See who has used your data",
    description=(
        "Oldest first. A `Link` header has the next page, if there is one. What you read yourself "
        "is not listed."
    ),
    responses={
        200: describe_response(
            list[AccessEntryView], "The uses of your data.", openapi_examples.ACCESS_LOGS
        )
    },
)
async def list_access(
    request: Request[Any, Any, Any],
    access_log: NamedDependency[AccessLog],
    principal: NamedDependency[Principal],
    limit: PageLimit = DEFAULT_LIMIT,
    cursor: PageCursor = None,
) -> Response[list[AccessEntryView]]:
    page = await access_log.list_own(principal, limit=limit, after=cursor)
    return Response(list(page.items), headers=page.headers(request.url.path))


@get(
    "/access-log/{entry_id:uuid}/proof",
    permission="identity.access_log.read",
    refuses=("404",),
    summary="Get the proof of an entry of your access log",
    description=(
        "At most 2,048 bytes. It is checked without govid, for example by "
        "`tools/check_access_proof.py`. A new entry gets its proof within about a second; until "
        "then the response is a 503."
    ),
    responses={
        200: describe_response(AccessProofView, "The proof.", openapi_examples.ACCESS_PROOFS)
    },
)
async def prove_access(
    entry_id: FromPath[UUID],
    access_proofs: NamedDependency[AccessProofs],
    principal: NamedDependency[Principal],
) -> AccessProofView:
    return await access_proofs.prove_entry(principal, entry_id)


@get(
    "/audit/consistency",
    public=PUBLIC,
    summary="Get the proof that no entry of the audit log was taken back",
    description=(
        "Proves that the newest audit log begins with the log of `from` entries, whose checkpoint "
        "you have."
    ),
    responses={
        200: describe_response(
            ConsistencyProofView, "The proof.", openapi_examples.CONSISTENCY_PROOFS
        )
    },
)
async def prove_consistency(
    access_proofs: NamedDependency[AccessProofs],
    old_size: Annotated[
        int,
        QueryParameter(name="from", ge=1, le=MAX_SIZE, description="The size of an earlier log."),
    ],
) -> ConsistencyProofView:
    return await access_proofs.prove_consistency(old_size)


@get(
    "/audit-checkpoint",
    public=PUBLIC,
    refuses=("404",),
    summary="Get the newest checkpoint of the audit log",
    description="A signed note (c2sp.org/tlog-checkpoint): size and root hash of the log.",
    media_type="text/plain",
)
async def audit_checkpoint(access_proofs: NamedDependency[AccessProofs]) -> Response[str]:
    return Response(await access_proofs.fetch_checkpoint(), media_type="text/plain")


@get(
    "/audit-keys",
    public=PUBLIC,
    summary="Get the keys that verify checkpoints of the audit log",
    description="Keys of signed notes (c2sp.org/signed-note): the current one and earlier ones.",
    sync_to_thread=False,
    responses={
        200: describe_response(VerifierKeysView, "The keys.", openapi_examples.VERIFIER_KEYS)
    },
)
def audit_keys(documents: NamedDependency[KeyDocument]) -> Response[VerifierKeysView]:
    return Response(
        documents.keys,
        headers={"Cache-Control": f"public, max-age={documents.max_age_seconds}"},
    )


def access_log_router(access_log: AccessLog, access_proofs: AccessProofs) -> Router:
    """Return the routes of account holders, and of the proofs between two checkpoints."""
    return Router(
        "/api/auth",
        route_handlers=[list_access, prove_access, prove_consistency],
        dependencies={
            "access_log": Provide(lambda: access_log, sync_to_thread=False),
            "access_proofs": Provide(lambda: access_proofs, sync_to_thread=False),
        },
        tags=["identity"],
    )


def audit_documents_router(access_proofs: AccessProofs, *, max_age_seconds: int) -> Router:
    """Return the routes of checkpoint and keys; verifiers may keep the keys *max_age_seconds*."""
    documents = KeyDocument(keys=access_proofs.list_keys(), max_age_seconds=max_age_seconds)
    return Router(
        "/.well-known",
        route_handlers=[audit_checkpoint, audit_keys],
        dependencies={
            "documents": Provide(lambda: documents, sync_to_thread=False),
            "access_proofs": Provide(lambda: access_proofs, sync_to_thread=False),
        },
        tags=["machine pages"],
    )

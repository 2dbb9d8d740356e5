"""FHIR resources as PDS sends them, restricted to the members that govid reads.

Parsing is lenient: unknown members are ignored, arrays may contain nulls, and an extension is
identified by the last segment of its URL, because its base URL has changed before.
"""

import msgspec

DEATH_STATUS_REMOVED = "U"
VERIFIED_CODES = frozenset({"01", "number-present-and-verified"})
UNRESTRICTED_CODE = "U"


class _Part(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Base of FHIR elements."""


class Coding(_Part, frozen=True, kw_only=True):
    """Code of a code system."""

    code: str | None = None


class CodeableConcept(_Part, frozen=True, kw_only=True):
    """Concept that is given by codes."""

    coding: list[Coding] = []


class Extension(_Part, frozen=True, kw_only=True):
    """Element that is not part of base FHIR."""

    url: str = ""
    value_codeable_concept: CodeableConcept | None = None
    extension: list["Extension"] = []

    @property
    def url_tail(self) -> str:
        """Last segment of the URL."""
        return self.url.replace("/", "-").rpartition("-")[2]

    @property
    def code(self) -> str | None:
        """First code of the value."""
        codings = self.value_codeable_concept.coding if self.value_codeable_concept else []
        return codings[0].code if codings else None


class PatientIdentifier(_Part, frozen=True, kw_only=True):
    """Identifier of a patient, with extensions about it."""

    value: str | None = None
    extension: list[Extension] = []


class HumanName(_Part, frozen=True, kw_only=True):
    """Current or former name."""

    use: str | None = None
    family: str | None = None
    given: list[str | None] = []


class ResourceMeta(_Part, frozen=True, kw_only=True):
    """Metadata of a resource: its confidentiality."""

    security: list[Coding] = []


class PatientResource(_Part, frozen=True, kw_only=True, tag_field="resourceType", tag="Patient"):
    """`Patient` resource. Only `id` is mandatory."""

    id: str
    identifier: list[PatientIdentifier] = []
    meta: ResourceMeta = ResourceMeta()
    name: list[HumanName] = []
    birth_date: str | None = None
    deceased_date_time: str | None = None
    extension: list[Extension] = []

    @property
    def is_restricted(self) -> bool:
        """Whether the confidentiality is not `unrestricted`; then nothing may be shown."""
        return any(coding.code != UNRESTRICTED_CODE for coding in self.meta.security)

    @property
    def is_verified(self) -> bool:
        """Whether the NHS has verified that the number belongs to this person."""
        codes = {
            extension.code
            for identifier in self.identifier
            if identifier.value == self.id
            for extension in identifier.extension
            if extension.url_tail == "NHSNumberVerificationStatus"
        }
        return bool(codes) and codes <= VERIFIED_CODES

    @property
    def usual_name(self) -> HumanName | None:
        """Usual name, or else the first one."""
        usual = [one for one in self.name if one.use == "usual"] or self.name
        return usual[0] if usual else None

    @property
    def death_status(self) -> str | None:
        """1 informal, 2 formal, U removed; None if no death has been reported."""
        for one in self.extension:
            if one.url_tail == "DeathNotificationStatus":
                codes = [part.code for part in one.extension if part.url_tail.startswith("death")]
                return codes[0] if codes else None
        return None

    def __repr__(self) -> str:
        """Name the struct only (I9)."""
        return "<Record>"


class OutcomeIssue(_Part, frozen=True, kw_only=True):
    """Issue of an `OperationOutcome`."""

    code: str | None = None
    details: CodeableConcept = CodeableConcept()


class OperationOutcome(
    _Part, frozen=True, kw_only=True, tag_field="resourceType", tag="OperationOutcome"
):
    """Errors, warnings or notes; a successful response may contain one, too."""

    issue: list[OutcomeIssue] = []

    @property
    def issue_types(self) -> frozenset[str]:
        """FHIR issue types, such as `conflict` and `duplicate`."""
        return frozenset(issue.code for issue in self.issue if issue.code is not None)

    @property
    def error_codes(self) -> frozenset[str]:
        """Codes of all issues. Their texts may change, so they are not read."""
        return frozenset(
            coding.code
            for issue in self.issue
            for coding in issue.details.coding
            if coding.code is not None
        )

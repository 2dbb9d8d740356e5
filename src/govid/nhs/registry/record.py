"""A patient's record as PDS sends it: what of it govid reads, and nothing else.

Read liberally: members that are not named are passed over, arrays may hold nulls, and extensions
are known by the tail of their URL, as their home has moved before.
"""

import msgspec

ALIVE_AFTER_ALL = "U"
VERIFIED = frozenset({"01", "number-present-and-verified"})
UNRESTRICTED = "U"


class _Part(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A piece of FHIR."""


class Coding(_Part, frozen=True, kw_only=True):
    """A code out of a system."""

    code: str | None = None


class Concept(_Part, frozen=True, kw_only=True):
    """Something said by codes."""

    coding: list[Coding] = []


class Extension(_Part, frozen=True, kw_only=True):
    """Something that FHIR itself does not know."""

    url: str = ""
    value_codeable_concept: Concept | None = None
    extension: list["Extension"] = []

    @property
    def tail(self) -> str:
        """The last word of the URL."""
        return self.url.replace("/", "-").rpartition("-")[2]

    @property
    def code(self) -> str | None:
        """The first code of the value."""
        codings = self.value_codeable_concept.coding if self.value_codeable_concept else []
        return codings[0].code if codings else None


class Identifier(_Part, frozen=True, kw_only=True):
    """A number, and what is known about it."""

    value: str | None = None
    extension: list[Extension] = []


class Name(_Part, frozen=True, kw_only=True):
    """A name that somebody has or had."""

    use: str | None = None
    family: str | None = None
    given: list[str | None] = []


class Meta(_Part, frozen=True, kw_only=True):
    """How confidential the record is."""

    security: list[Coding] = []


class Record(_Part, frozen=True, kw_only=True, tag_field="resourceType", tag="Patient"):
    """A `Patient`. Only `id` is always there."""

    id: str
    identifier: list[Identifier] = []
    meta: Meta = Meta()
    name: list[Name] = []
    birth_date: str | None = None
    deceased_date_time: str | None = None
    extension: list[Extension] = []

    @property
    def is_restricted(self) -> bool:
        """Whether anything but `unrestricted` is said of it: then nothing may be shown."""
        return any(mark.code != UNRESTRICTED for mark in self.meta.security)

    @property
    def is_verified(self) -> bool:
        """Whether the NHS has verified that the number is this person's."""
        codes = {
            mark.code
            for identifier in self.identifier
            if identifier.value == self.id
            for mark in identifier.extension
            if mark.tail == "NHSNumberVerificationStatus"
        }
        return bool(codes) and codes <= VERIFIED

    @property
    def usual_name(self) -> Name | None:
        """The name that the person goes by."""
        usual = [one for one in self.name if one.use == "usual"] or self.name
        return usual[0] if usual else None

    @property
    def death_status(self) -> str | None:
        """1 informal, 2 formal, U taken back; None if nobody has reported a death."""
        for one in self.extension:
            if one.tail == "DeathNotificationStatus":
                codes = [part.code for part in one.extension if part.tail.startswith("death")]
                return codes[0] if codes else None
        return None

    def __repr__(self) -> str:
        """Name the struct only (I9)."""
        return "<Record>"


class Entry(_Part, frozen=True, kw_only=True):
    """One of those who were found."""

    resource: Record


class Issue(_Part, frozen=True, kw_only=True):
    """Something that the NHS has to say."""

    code: str | None = None
    details: Concept = Concept()


class SearchSet(_Part, frozen=True, kw_only=True, tag_field="resourceType", tag="Bundle"):
    """Who was found; nobody, if there is no `entry`."""

    entry: list[Entry] = []


class OperationOutcome(
    _Part, frozen=True, kw_only=True, tag_field="resourceType", tag="OperationOutcome"
):
    """What went wrong, or what is noteworthy: a status of success may have one, too."""

    issue: list[Issue] = []

    @property
    def kinds(self) -> frozenset[str]:
        """FHIR's own words for the issues: `conflict`, `duplicate`."""
        return frozenset(issue.code for issue in self.issue if issue.code is not None)

    @property
    def codes(self) -> frozenset[str]:
        """The codes of all issues. Texts are subject to change, and nobody looks at them."""
        return frozenset(
            coding.code
            for issue in self.issue
            for coding in issue.details.coding
            if coding.code is not None
        )

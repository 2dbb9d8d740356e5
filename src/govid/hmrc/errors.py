"""What the HMRC module refuses."""

from govid.bus import GovidError, Kind


class AccountIsBlocked(GovidError):
    """Account is blocked."""

    code = "account-blocked"
    kind = Kind.FORBIDDEN


class StepUpRequired(GovidError):
    """Whoever wants to see tax records has to be known better: verify your account first."""

    code = "step-up-required"
    kind = Kind.FORBIDDEN


class TaxRecordsAreOff(GovidError):
    """HMRC's tax records cannot be seen here, as govid is not connected to them."""

    code = "tax-records-off"
    kind = Kind.UNAVAILABLE


class HmrcIsAway(GovidError):
    """HMRC cannot be asked at the moment; please try again shortly."""

    code = "hmrc-away"
    kind = Kind.UNAVAILABLE


class ConsentNotBegun(GovidError):
    """You have not begun to consent, or it was too long ago; please begin again."""

    code = "consent-not-begun"
    kind = Kind.CONFLICT


class CodeRefused(GovidError):
    """HMRC does not accept the code, which is good once and for ten minutes; please begin again."""

    code = "consent-code-refused"
    kind = Kind.CONFLICT


class ConsentNeeded(GovidError):
    """HMRC shows your tax records with your consent only; please give it first."""

    code = "tax-consent-needed"
    kind = Kind.FORBIDDEN


class ConsentHasLapsed(GovidError):
    """Your consent at HMRC has ended; please give it again."""

    code = "tax-consent-lapsed"
    kind = Kind.FORBIDDEN


class ReferenceRefused(GovidError):
    """HMRC does not show what belongs to that reference to whoever gave consent."""

    code = "tax-reference-refused"
    kind = Kind.FORBIDDEN


class TaxRecordNotFound(GovidError):
    """There is no such record among those that you filed."""

    code = "tax-record-not-found"
    kind = Kind.NOT_FOUND


class NoTaxData(GovidError):
    """HMRC has no data, or none yet; that does not mean that nothing was earned or paid."""

    code = "no-tax-data"
    kind = Kind.NOT_FOUND

"""Defines the errors of the HMRC module. Each docstring is the message that the client sees."""

from govid.bus import ErrorKind, GovidError


class StepUpRequired(GovidError):
    """Tax records require a verified account. Please verify your identity first."""

    code = "step-up-required"
    kind = ErrorKind.FORBIDDEN


class TaxRecordsDisabled(GovidError):
    """Tax records from HMRC are not available, because govid is not connected to HMRC."""

    code = "tax-records-off"
    kind = ErrorKind.UNAVAILABLE


class HmrcUnavailable(GovidError):
    """HMRC is not available at the moment. Please try again later."""

    code = "hmrc-away"
    kind = ErrorKind.UNAVAILABLE


class ConsentNotStarted(GovidError):
    """You have not started to give consent, or it was too long ago. Please start again."""

    code = "consent-not-begun"
    kind = ErrorKind.CONFLICT


class ConsentCodeRefused(GovidError):
    """HMRC does not accept the code. It is valid once, for 10 minutes. Please start again."""

    code = "consent-code-refused"
    kind = ErrorKind.CONFLICT


class ConsentNeeded(GovidError):
    """HMRC only shows your tax records with your consent. Please give it first."""

    code = "tax-consent-needed"
    kind = ErrorKind.FORBIDDEN


class ConsentExpired(GovidError):
    """Your consent at HMRC has ended. Please give it again."""

    code = "tax-consent-lapsed"
    kind = ErrorKind.FORBIDDEN


class ReferenceRefused(GovidError):
    """HMRC does not show the records of that reference to the person who gave consent."""

    code = "tax-reference-refused"
    kind = ErrorKind.FORBIDDEN


class TaxRecordNotFound(GovidError):
    """You have not filed a tax record with this id."""

    code = "tax-record-not-found"
    kind = ErrorKind.NOT_FOUND


class NoTaxData(GovidError):
    """HMRC has no data, or none yet. This does not mean that nothing was earned or paid."""

    code = "no-tax-data"
    kind = ErrorKind.NOT_FOUND

"""Use cases of an account holder and of an operator.

Registration, e-mail address, data rights, identifier claims and administration are here.
Status changes by notices are in `life_events`, identity checks in `verification`.
"""

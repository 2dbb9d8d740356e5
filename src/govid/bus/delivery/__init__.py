"""Delivery of events to one subscriber: what is handled in one transaction.

Holds the groups of the dispatcher. The dispatcher itself, the backlog and the leases still stand
one level higher.
"""

"""Delivery of events to the subscribers of this process, through the outbox.

Holds the outbox, the subscriptions, and the dispatcher with its backlog, leases, failures (retry,
parking, dead letters), health and wake-ups. Not Kafka: the outbox relay is in `bus/kafka`. Not the
operators' queries and repairs: those are in `bus/operations`.
"""

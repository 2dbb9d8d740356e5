"""The only package that talks to Kafka: outbox relay, inbox and log topics.

It also creates and checks the topics, reads them for operators, and compares them with the
database before the relay publishes. The audit of what was published, and what operators accept
about topics, are in `bus.operations`.
"""

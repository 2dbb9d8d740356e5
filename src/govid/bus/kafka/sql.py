"""The statements of the Kafka room."""

from govid.bus.sql import read

QUERIES = read("govid.bus.kafka")
"""The statements of `queries.sql` beside this file, by name."""

"""Database access for all modules: connections, pools, transactions, error classes, quotas.

Also the background workers, retention with its daily partitions, and the schema check. Nothing here
depends on event delivery, Kafka or a department; each table belongs to the module that names it.
"""

"""Database access shared by all modules: PostgreSQL's errors, periodic work, quotas.

Pools, transactions and retention still stand beside this package and move in with the next layout.
It knows no delivery; each table belongs to the module that names it.
"""

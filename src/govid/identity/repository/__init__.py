"""Database access of identity, one file per group of tables.

Driver errors are translated here. Use cases and transactions are not.
"""

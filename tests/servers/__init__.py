"""Tests against PostgreSQL as its users run it: Debian's server, its failures, PgBouncer."""

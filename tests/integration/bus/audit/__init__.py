"""The audit log on a real database: reads of data, and a sealer that is killed."""

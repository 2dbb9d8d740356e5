"""Requests that the OpenAPI document allows, and many that it does not."""

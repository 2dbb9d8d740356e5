"""Clients that generators make of the API's description, compiled and used against a server."""

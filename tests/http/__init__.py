"""Whole-application tests over HTTP."""  # noqa: A005 - a folder of tests shadows nothing

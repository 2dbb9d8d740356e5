"""The request edge: what happens to every HTTP request before and after its handler.

Limits, host names, CORS, authentication, strict JSON, problem documents and the protocol class. No
routes (they are in `gateway/endpoints` and in the modules) and no settings.
"""

"""Development aids of `govid dev`: embedded backends, synthetic people, and development pages.

Only the application, the composition root, the production checks and the command line import it.
Production code must not reach `backends` and `postgres`, whose libraries it does not install.
"""

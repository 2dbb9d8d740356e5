"""Routes for machines and operators: health, metrics, the API documents and the start page.

The routes of citizens are in the modules' controllers.
"""

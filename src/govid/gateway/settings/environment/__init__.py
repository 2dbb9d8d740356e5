"""The environment variables of govid: names, types, defaults and meanings."""

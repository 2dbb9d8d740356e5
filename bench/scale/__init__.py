"""What statements cost in a database of many accounts and ninety days (field-faults, section I).

`population` builds the database by SQL; `__main__` prints the figures. Nothing here starts a hub.
"""

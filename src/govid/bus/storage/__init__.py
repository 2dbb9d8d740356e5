"""Database access shared by all modules; each table belongs to the module that names it."""

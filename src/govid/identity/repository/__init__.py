"""Where identity's rows are read and written. Driver errors end here."""

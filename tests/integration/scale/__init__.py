"""What statements cost in a database of ninety days."""

"""Groups of deliveries on real commits."""

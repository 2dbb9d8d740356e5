"""Who is calling, and for how long they may."""

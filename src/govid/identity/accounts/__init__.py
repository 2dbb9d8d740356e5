"""What an account lives through: opened, verified, blocked."""

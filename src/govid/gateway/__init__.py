"""HTTP edge, composition root and command line of govid. It uses all modules; none imports it."""

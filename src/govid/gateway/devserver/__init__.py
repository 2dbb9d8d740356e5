"""Development aids of `govid dev`: embedded backends and pages, none of them for production."""

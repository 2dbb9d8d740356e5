"""Runs the command line: `python -m govid`."""

from govid.gateway.cli import main

if __name__ == "__main__":
    main()

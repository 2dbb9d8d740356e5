"""`python -m govid`, and the command `govid`."""

from govid.gateway.cli import main

if __name__ == "__main__":
    main()

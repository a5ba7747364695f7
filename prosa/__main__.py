"""`python -m prosa`: the command line."""

from prosa.entrypoints.cli.main import main

if __name__ == "__main__":
    main()

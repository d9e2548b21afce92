"""`python -m pyrunbook`: the command line, for where the `pyrunbook` program is not on PATH."""

from pyrunbook.cli.main import main

if __name__ == "__main__":
    main()

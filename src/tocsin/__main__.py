"""`tocsin …` and `python -m tocsin …`."""

import sys


def main() -> None:
    """Run a command and leave with its status."""
    from tocsin.cli import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()

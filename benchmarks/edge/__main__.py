"""What hostile and careless clients cost: `python -m benchmarks.edge bombs [--save]`."""

import argparse

from benchmarks.edge import bombing

COMMANDS = {"bombs": bombing.main}


def main() -> None:
    """Run one of them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.edge", description=__doc__)
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("--save", action="store_true", help="write the figures to benchmarks/results/")
    arguments = parser.parse_args()
    COMMANDS[arguments.command](arguments.save)


if __name__ == "__main__":
    main()

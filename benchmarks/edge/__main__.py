"""What hostile and careless clients cost: `python -m benchmarks.edge bombs|fuzz [--save]`."""

import argparse

from benchmarks.edge import bombing, fuzz


def main() -> None:
    """Run one of them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.edge", description=__doc__)
    parser.add_argument("command", choices=("bombs", "fuzz"))
    parser.add_argument("--save", action="store_true", help="write the figures to benchmarks/results/")
    parser.add_argument("--count", type=int, default=10_000, help="fuzz: how many uploads")
    parser.add_argument("--seed", type=int, default=0, help="fuzz: of the mutations")
    arguments = parser.parse_args()
    if arguments.command == "bombs":
        bombing.main(arguments.save)
    else:
        fuzz.main(arguments.save, arguments.count, arguments.seed)


if __name__ == "__main__":
    main()

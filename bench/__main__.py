"""Run suites: `python -m bench [SUITE …]`."""

from __future__ import annotations

import sys
from importlib import import_module

from bench.report import show, write

SUITES = ("overhead", "embed", "chat")


def main(names: list[str]) -> int:
    """Measure, print, keep. 1 where a required figure is missed."""
    missed = 0
    for name in names or SUITES:
        if name not in SUITES:
            raise SystemExit(f"no suite {name}; there are: {', '.join(SUITES)}")
        suite = import_module(f"bench.{name}").run()
        show(suite)
        write(name, suite)
        missed += sum(not holds for *_, holds in suite["checks"])
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

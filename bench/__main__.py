"""Run suites: `python -m bench [--json] [SUITE …]`."""

from __future__ import annotations

import json
import sys
from importlib import import_module

from bench.report import show, write

SUITES = ("overhead", "embed", "chat", "workers")
MORE = ("bad_input", "soak", "crash", "quality")
"""Run only where they are named."""


def main(arguments: list[str]) -> int:
    """Measure, print, keep. 1 where a required figure is missed."""
    as_json = "--json" in arguments
    names = [name for name in arguments if name != "--json"] or list(SUITES)
    missed = 0
    found = {}
    for name in names:
        if name not in (*SUITES, *MORE):
            raise SystemExit(f"no suite {name}; there are: {', '.join((*SUITES, *MORE))}")
        module = import_module(f"bench.{name}")
        suite = found[name] = module.run()
        if not as_json:
            show(suite)
        write(name, suite)
        if name == "quality":
            module.write_page(suite)
        missed += sum(not holds for *_, holds in suite["checks"])
    if as_json:
        print(json.dumps(found))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

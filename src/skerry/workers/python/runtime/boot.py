"""Starts a worker's process: `python -I -S -B boot.py LISTEN CONTROL LOG`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from _skerry.main import main

if __name__ == "__main__":
    sys.exit(main(*(int(each) for each in sys.argv[1:4])))

"""The folder of a node's sockets: its own while it lives, swept once it was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from skerry.workers.run_folder import PREFIX, RunFolder

HOLD = (
    "import sys; from pathlib import Path; from skerry.workers.run_folder import RunFolder;"
    "folder = RunFolder(Path(sys.argv[1])); print(folder.path, flush=True); sys.stdin.read()"
)


def test_a_killed_node_s_folder_is_swept_and_a_living_one_s_is_not(tmp_path: Path) -> None:
    killed, lives = (
        subprocess.Popen(
            [sys.executable, "-c", HOLD, str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    )
    with killed, lives:
        try:
            assert killed.stdout
            assert lives.stdout
            left, kept = (Path(out.readline().strip()) for out in (killed.stdout, lives.stdout))
            (left / "bundle").mkdir()
            killed.send_signal(signal.SIGKILL)
            killed.wait(10)
            assert left.exists()
            mine = RunFolder(tmp_path)
            assert not left.exists()
            assert kept.exists()
            assert mine.path.exists()
            mine.remove()
            assert not mine.path.exists()
        finally:
            killed.kill()
            lives.kill()


def test_what_is_no_folder_of_a_node_is_left_alone(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "lock").touch()
    (tmp_path / f"{PREFIX}link").symlink_to(elsewhere)
    fresh = tmp_path / f"{PREFIX}fresh"
    fresh.mkdir()
    old = tmp_path / f"{PREFIX}old"
    old.mkdir()
    os.utime(old, (0, 0))
    RunFolder(tmp_path).remove()
    assert (elsewhere / "lock").exists()
    assert fresh.exists(), "its node may be about to lock it"
    assert not old.exists()

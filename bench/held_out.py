"""Held-out data of the quality suite; fetched when it runs, never redistributed."""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import wave
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "skerry" / "bench"
VADER = "vaderSentiment==3.3.2"
DOMAINS = {
    "movie": "movieReviewSnippets",
    "amazon": "amazonReviewSnippets",
    "tweets": "tweets",
    "nyt": "nytEditorialSnippets",
}
_HASHED_AS = {"tweets": "tweet"}
SPEECH = "pocketsphinx-testdata"


def sentiment(domain: str) -> list[tuple[str, bool]]:
    """(sentence, is it positive) of the test split: a tenth, by a hash of the source document.

    From the sdist of vaderSentiment (MIT): mean ratings of 20 people; those within 0.5 of neutral
    are left out, as in training.
    """
    folder = CACHE / "vader"
    name = f"{DOMAINS[domain]}_GroundTruth.txt"
    path = next(folder.rglob(name), None) if folder.is_dir() else None
    if path is None:
        _fetch_vader(folder)
        path = next(folder.rglob(name))
    out: list[tuple[str, bool]] = []
    seen: set[str] = set()
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        parts = line.split("\t")
        if len(parts) < 3 or not parts[2].strip():
            continue
        number, rating, text = parts[0], float(parts[1]), parts[2].strip()
        key = "".join(char for char in text.lower() if char.isalnum())
        if key in seen or abs(rating) < 0.5:
            continue
        seen.add(key)
        source = number.split("_")[0] if domain in {"amazon", "nyt"} else key
        seed = f"{_HASHED_AS.get(domain, domain)}:{source}"
        if int(hashlib.sha256(seed.encode()).hexdigest(), 16) % 10 == 0:
            out.append((text, rating > 0))
    return out


def _fetch_vader(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--no-binary", "vaderSentiment", "--dest", str(folder), VADER]
    subprocess.run(command, check=True)
    with tarfile.open(next(folder.glob("vader*.tar.gz"))) as sdist:
        member = next(each for each in sdist if each.name.endswith("hutto_ICWSM_2014.tar.gz"))
        inner = sdist.extractfile(member)
        assert inner is not None
        with tarfile.open(fileobj=io.BytesIO(inner.read())) as data:
            data.extractall(folder, filter="data")


def speech() -> list[tuple[bytes, str]]:
    """(WAV, transcript) of the LibriVox clips in Debian's pocketsphinx-testdata; [] without apt."""
    root = CACHE / "speech"
    if not any(root.rglob("librivox/*.wav")):
        if not (shutil.which("apt-get") and shutil.which("dpkg")):
            return []
        root.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(["apt-get", "download", SPEECH], cwd=root, capture_output=True)
        if done.returncode:
            sys.stderr.write(f"apt-get download {SPEECH}: {done.stderr.decode()}\n")
            return []
        subprocess.run(["dpkg", "-x", next(root.glob("*.deb")), root], check=True)
    (listing,) = root.rglob("librivox/*transcription")
    out = []
    for line in listing.read_text().splitlines():
        if match := re.match(r"<s>(.*)</s>\s*\((.*)\)", line):
            path = listing.parent / f"{match[2]}.wav"
            out.append((path.read_bytes(), match[1].strip()))
    return out


def seconds(wav: bytes) -> float:
    """Length of a WAV."""
    with wave.open(io.BytesIO(wav)) as sound:
        length: float = sound.getnframes() / sound.getframerate()
    return length


_NUMBERS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]


def words(text: str) -> list[str]:
    """Words for an error rate: lower case, no punctuation, small numbers spelt out."""
    text = text.lower().replace("mr.", "mister").replace("-", " ")
    found = re.sub(r"[^a-z0-9' ]", " ", text).split()
    return [_NUMBERS[int(word)] if word.isdigit() and int(word) <= 10 else word for word in found]


def errors(right: list[str], heard: list[str]) -> int:
    """Words to insert, delete or replace (Levenshtein)."""
    row = list(range(len(heard) + 1))
    for at, word in enumerate(right, 1):
        before, row[0] = row[0], at
        for other, guess in enumerate(heard, 1):
            cost = before + (word != guess)
            before, row[other] = row[other], min(row[other] + 1, row[other - 1] + 1, cost)
    return row[-1]

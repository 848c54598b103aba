"""What is told when a file cannot be had."""

from __future__ import annotations

from collections.abc import Sequence

from skerry.catalog.entry import Parts
from skerry.errors import ArtifactError, DiskFull, HashMismatch, MirrorsFailed, Offline

Failure = tuple[str, ArtifactError]
"""A mirror and why it failed."""


def mirror_name(mirror: str | Parts) -> str:
    """How a mirror is called in messages."""
    if isinstance(mirror, str):
        return mirror
    return f"{mirror.parts[0]} and {len(mirror.parts) - 1} more parts"


def all_failed(model: str, artifact: str, failures: Sequence[Failure]) -> ArtifactError:
    """The error for a file that no mirror gave, with every mirror and its reason.

    HashMismatch where all sent other bytes, Offline where the network is closed, else
    MirrorsFailed.
    """
    what = f"{model}: {artifact}"
    if not failures:
        return MirrorsFailed(f"{what} has no mirrors: add one to the catalog entry")
    lines = "".join(f"\n  {mirror}: {error}" for mirror, error in failures)
    kinds = {type(error) for _, error in failures}
    failed: ArtifactError
    if kinds == {HashMismatch}:
        failed = HashMismatch(
            f"{what}: every mirror sent other bytes than the catalog names{lines}"
        )
    elif Offline in kinds:
        failed = Offline(
            f"{what} is not in the store and the network is closed (offline); pull it online"
            f" first: skerry models pull {model}{lines}"
        )
    else:
        failed = MirrorsFailed(f"{what}: no mirror could send it{lines}")
    failed.__cause__ = failures[-1][1]
    return failed


def first_error(errors: BaseExceptionGroup[ArtifactError]) -> ArtifactError:
    """One error for all; a full disk before the rest, which it may have caused."""
    flat = list(_flat(errors))
    return next((error for error in flat if isinstance(error, DiskFull)), flat[0])


def _flat(errors: BaseExceptionGroup[ArtifactError]) -> list[ArtifactError]:
    out: list[ArtifactError] = []
    for each in errors.exceptions:
        out += _flat(each) if isinstance(each, BaseExceptionGroup) else [each]
    return out

"""Every error that Skerry raises on purpose: one tree.

SkerryError
├── SettingsError            a setting that cannot be used
├── CatalogError             a model file that cannot be used
│   ├── ArtifactError        a file of weights cannot be had
│   │   ├── HashMismatch     every mirror sent other bytes than the catalog names
│   │   ├── MirrorsFailed    no mirror answered
│   │   ├── Offline          the file is not in the store and the network is closed
│   │   └── DiskFull         no room in the store
│   └── ConversionFailed     the weights cannot be brought into the engine's form
├── EngineError              an engine failed
│   ├── EngineMissing        its package is not installed
│   └── RunnerDied           a runner process ended with work in hand
├── StorageError             what a caller of KV, D1, R2, queues … sees: a code and an HTTP status
├── ProjectError             a worker's project that cannot be used: file, line and way out
│   └── BuildError           its code cannot be bundled
├── WorkerError              a worker that could not answer
└── AiError                  what a caller of AI.run sees: a Cloudflare code and an HTTP status
    ├── InvalidInput         5006 400
    │   └── InvalidData      5004 400
    ├── NoSuchModel          5007 400
    ├── JsonNotMet           5024 400
    ├── MissingBody          3003 400
    ├── InvalidModelId       3042 404
    ├── LoraNotSupported     5005 405
    ├── LoraMissing          3039 400
    ├── LicenceNotAccepted   5016 403
    ├── ModelNotAllowed      5018 403
    ├── AccountBlocked       3023 403
    ├── AccountNotAllowed    3041 403
    ├── RequestTooLarge      3006 413
    │   └── ContextTooLong   3006 413
    ├── InferenceTimeout     3007 408
    ├── Aborted              3008 408
    ├── NeuronsUsedUp        3036 429
    ├── OutOfCapacity        3040 429
    ├── ModelDeprecated      5028 410
    └── InternalError        5000 500

Codes and statuses: Cloudflare, "Workers AI errors"; 5000 is Skerry's own for a fault of the node.
"""

from __future__ import annotations

from typing import ClassVar


class SkerryError(Exception):
    """The root of the tree."""


class SettingsError(SkerryError):
    """A setting that cannot be used; the message names it and says what would do."""


class CatalogError(SkerryError):
    """A model file that cannot be used."""


class ArtifactError(CatalogError):
    """A file of weights cannot be had."""


class HashMismatch(ArtifactError):
    """A mirror sent other bytes than the catalog names."""


class MirrorsFailed(ArtifactError):
    """No mirror could send the file."""


class Offline(ArtifactError):
    """The file is not in the store and the network is closed."""


class DiskFull(ArtifactError):
    """No room for the file."""


class ConversionFailed(CatalogError):
    """The weights cannot be brought into the engine's form."""


class EngineError(SkerryError):
    """An engine failed at something that was not the caller's fault."""


class EngineMissing(EngineError):
    """The engine's package is not installed."""


class RunnerDied(EngineError):
    """A runner process ended with work in hand."""


class StorageError(SkerryError):
    """What a caller of a store sees; each store derives its own.

    code: Cloudflare's v4 number, 0 where there is none.  status: HTTP.
    """

    def __init__(self, message: str, *, code: int = 0, status: int = 400) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.status = status


class ProjectError(SkerryError):
    """A worker's project that cannot be used; the message names file, line and way out."""


class BuildError(ProjectError):
    """The code of a project cannot be bundled."""


class WorkerError(SkerryError):
    """A worker that could not answer: it threw, took too long, or its process ended."""


class AiError(SkerryError):
    """What a caller of AI.run sees.

    code: Cloudflare's number.  status: HTTP.  retryable: the same request may work later.
    retry_after: seconds, where a wait can be named.
    """

    code: ClassVar[int] = 5000
    status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False
    retry_after: float | None

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after = retry_after

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.message,), {"retry_after": self.retry_after})


class InvalidInput(AiError):
    """The input does not match the model's schema."""

    code, status = 5006, 400


class InvalidData(InvalidInput):
    """Base64, an image or a sound that cannot be decoded."""

    code, status = 5004, 400


class NoSuchModel(AiError):
    """No model or task of that name."""

    code, status = 5007, 400

    @classmethod
    def named(cls, model: str, near: str | None = None) -> NoSuchModel:
        """Both phrases that published code tests for, and the way out."""
        hint = f" Did you mean {near}?" if near else ""
        return cls(
            f"No such model {model} or task (Model not found).{hint}"
            " List what there is: skerry models list"
        )


class JsonNotMet(AiError):
    """The model's answer is not the JSON that was asked for."""

    code, status, retryable = 5024, 400, True


class MissingBody(AiError):
    """The request has no body, or headers are missing."""

    code, status = 3003, 400


class InvalidModelId(AiError):
    """Not the shape of a model name."""

    code, status = 3042, 404


class LoraNotSupported(AiError):
    """The model takes no LoRA."""

    code, status = 5005, 405


class LoraMissing(AiError):
    """The LoRA that was named has no files."""

    code, status = 3039, 400


class LicenceNotAccepted(AiError):
    """The model's licence must be accepted first."""

    code, status = 5016, 403


class ModelNotAllowed(AiError):
    """This node's settings do not allow the model."""

    code, status = 5018, 403


class AccountBlocked(AiError):
    """This node's settings block the account."""

    code, status = 3023, 403


class AccountNotAllowed(AiError):
    """The account may not use this model."""

    code, status = 3041, 403


class RequestTooLarge(AiError):
    """More bytes, texts, pixels or tokens than the model takes."""

    code, status = 3006, 413


class ContextTooLong(RequestTooLarge):
    """Prompt and answer do not fit the model's context window."""


class InferenceTimeout(AiError):
    """No answer within the deadline."""

    code, status, retryable = 3007, 408, True


class Aborted(AiError):
    """The request was cut off before it was answered."""

    code, status, retryable = 3008, 408, True


class NeuronsUsedUp(AiError):
    """The daily allocation of neurons is used up."""

    code, status, retryable = 3036, 429, True


class OutOfCapacity(AiError):
    """The queue is full, or the model is still being loaded or pulled."""

    code, status, retryable = 3040, 429, True


class ModelDeprecated(AiError):
    """The model was retired; the message names its successor."""

    code, status = 5028, 410


class InternalError(AiError):
    """A fault of the node, not of the request."""

    code, status, retryable = 5000, 500, True


def _leaves(cls: type[AiError]) -> list[type[AiError]]:
    return [cls, *(leaf for sub in cls.__subclasses__() for leaf in _leaves(sub))]


def ai_error(kind: str, message: str, retry_after: float | None = None) -> AiError:
    """The AiError class called `kind`, as it comes over a wire; InternalError if unknown."""
    for cls in _leaves(AiError):
        if cls.__name__ == kind:
            return cls(message, retry_after=retry_after)
    return InternalError(message, retry_after=retry_after)


def ai_error_by_code(code: int, message: str, retry_after: float | None = None) -> AiError:
    """The broadest AiError class with Cloudflare's `code`; InternalError if there is none."""
    for cls in _leaves(AiError)[1:]:
        if cls.code == code:
            return cls(message, retry_after=retry_after)
    return InternalError(message, retry_after=retry_after)


def error_table() -> list[type[AiError]]:
    """Every concrete AiError, in order of code, for docs and the OpenAPI document."""
    return sorted(_leaves(AiError)[1:], key=lambda cls: (cls.code, cls.__name__))

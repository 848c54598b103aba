"""hibari: English speech, through the installed library hibari-tts with the store's own model file.

Options (`engine_options.hibari`):

    model   the ONNX file in the model's directory; default hibari.onnx
    voice   the library's voice that the file is; default "heart"
"""

from __future__ import annotations

import importlib.util
import os
from typing import Any, ClassVar

import numpy as np

from skerry.engines.base import CallEngine, Choice, Sink
from skerry.errors import EngineError, InvalidInput
from skerry.tasks.base import Call, ModelFiles, Speak, Spoken

SEED = 0
"""Of the noise component: the same text gives the same sound."""
SPEEDS = (0.5, 2.0)


class Hibari(CallEngine):
    """One session; calls share it."""

    name = "hibari"
    distributions: ClassVar[tuple[str, ...]] = ("hibari-tts", "onnxruntime")
    precisions: ClassVar[tuple[str, ...]] = ("fp32",)

    @classmethod
    def missing(cls) -> str | None:
        if importlib.util.find_spec("hibari") is None:
            return "pip install 'skerry[speech]'"
        return None

    @classmethod
    def load(cls, files: ModelFiles, choice: Choice) -> Hibari:
        import hibari

        path = files.path(str(choice.options.get("model", "hibari.onnx")))
        if not path.is_file():
            raise EngineError(f"{files.name}: {path.name} is not in {files.directory}")
        streams = max(1, choice.streams)
        threads = max(1, (choice.threads or len(os.sched_getaffinity(0))) // streams)
        voice = str(choice.options.get("voice", "heart"))
        try:
            speaker = hibari.Hibari(voice=voice, model=str(path), threads=threads)
            speaker.phonemize("Ready.")  # the lexicon is read at first use: now, not in a call
        except Exception as error:  # onnxruntime's errors share no base but Exception
            raise EngineError(f"{files.name}: hibari cannot load {path.name}: {error}") from error
        return cls(files.name, speaker, voice, streams)

    def __init__(self, model: str, speaker: Any, voice: str, streams: int) -> None:
        self._model = model
        self._speaker = speaker
        self._voice = voice
        self.capacity = streams

    def serves(self, call: Call) -> bool:
        return isinstance(call, Speak)

    def run(self, call: Call, sink: Sink) -> Spoken:
        """Raises InvalidInput for a language, voice or speed that the model has not."""
        if not isinstance(call, Speak):
            raise EngineError(f"hibari does not serve {type(call).__name__}.")
        if not call.language.lower().startswith("en"):
            raise InvalidInput(f"{self._model} speaks English (en) only, not {call.language!r}.")
        if call.voice is not None and call.voice != self._voice:
            raise InvalidInput(f"{self._model} has the voice {self._voice!r}, not {call.voice!r}.")
        low, high = SPEEDS
        if not low <= call.speed <= high:
            raise InvalidInput(f"{self._model}: speed is {low} to {high}, not {call.speed}.")
        parts = []
        for part in self._speaker.stream(call.text, speed=call.speed, seed=SEED):
            parts.append(part)  # a sentence each: a cancelled call stops here
            if sink.cancelled:
                break
        samples = np.concatenate(parts) if parts else np.zeros(0, np.float32)
        return Spoken(samples=samples.astype(np.float32), rate=int(self._speaker.sample_rate))

    def close(self) -> None:
        self._speaker = None

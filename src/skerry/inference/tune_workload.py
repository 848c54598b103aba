"""What generating engines are asked while they are measured."""

from __future__ import annotations

import numpy as np

from skerry.tasks.base import Array, Call, Generate, Speak, Transcribe
from skerry.tasks.samples import sentences


def calls_of(task: str) -> tuple[list[Call], str]:
    """What generating engines are measured with, and the unit; [] for a task that has nothing."""
    if task == "text-generation":
        prompts = sentences("check")[6:54:6]
        return [
            Generate(
                messages=[{"role": "user", "content": f"Write a short story that begins: {text}"}],
                max_tokens=32,
                temperature=0.0,
            )
            for text in prompts
        ], "tokens"
    if task == "automatic-speech-recognition":
        return [Transcribe(samples=hum(4.0), language="en", beam_size=1)] * 2, "seconds of sound"
    if task == "text-to-speech":
        return [Speak(text=text) for text in sentences("check")[6:9]], "seconds of sound"
    return [], ""


def hum(seconds: float) -> Array:
    """A voice-like sound: harmonics of a gliding tone under a syllable envelope, 16 kHz."""
    at = np.arange(int(16000 * seconds)) / 16000
    phase = 2 * np.pi * np.cumsum(140 + 30 * np.sin(2 * np.pi * 0.7 * at)) / 16000
    tone = sum(np.sin(n * phase) / n for n in range(1, 20))
    return np.asarray(0.1 * tone * (0.5 - 0.5 * np.cos(2 * np.pi * 4 * at)), np.float32)

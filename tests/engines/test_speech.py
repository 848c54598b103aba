"""hibari speaks, Whisper hears it: both engines on real weights, each the other's judge."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from skerry.engines.base import CallEngine, Choice
from skerry.engines.registry import load_engine
from skerry.errors import InvalidInput
from skerry.tasks.base import Array, Speak, Spoken, Transcribe, Transcribed
from skerry.types import ModelFiles
from tests.engines.sinks import Heard

pytestmark = pytest.mark.models

SAID = "The weather in London is cold today. Please close the window."


def load(files: ModelFiles, name: str) -> CallEngine:
    engine = load_engine(name).load(files, Choice(engine=name, threads=2))
    assert isinstance(engine, CallEngine)
    return engine


@pytest.fixture(scope="module")
def speaker(pulled: Callable[[str], ModelFiles]) -> Iterator[CallEngine]:
    engine = load(pulled("@skerry/hibari-tts"), "hibari")
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def listener(pulled: Callable[[str], ModelFiles]) -> Iterator[CallEngine]:
    engine = load(pulled("@skerry/whisper-tiny-en"), "ctranslate2")
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def sound(speaker: CallEngine) -> Array:
    spoken = speaker.run(Speak(text=SAID), Heard())
    assert isinstance(spoken, Spoken)
    assert spoken.rate == 24000
    assert spoken.samples.dtype == np.float32
    assert np.abs(spoken.samples).max() <= 1
    at = np.arange(0, len(spoken.samples), spoken.rate / 16000)
    samples: Array = np.interp(at, np.arange(len(spoken.samples)), spoken.samples)
    return samples.astype(np.float32)


def hear(listener: CallEngine, sound: Array, sink: Heard | None = None) -> Transcribed:
    done = listener.run(Transcribe(samples=sound), sink or Heard())
    assert isinstance(done, Transcribed)
    return done


def words(text: str) -> list[str]:
    return re.findall(r"[a-z]+", text.lower())


def test_what_is_said_is_heard(listener: CallEngine, sound: Array) -> None:
    sink = Heard()
    done = hear(listener, sound, sink)
    text = "".join(segment.text for segment in done.segments)
    assert words(text) == words(SAID)
    assert sink.text == text
    assert done.language == "en"


def test_words_have_times_in_order(listener: CallEngine, sound: Array) -> None:
    done = hear(listener, sound)
    times = [(word.start, word.end) for segment in done.segments for word in segment.words]
    assert len(times) == len(words(SAID))
    assert times == sorted(times)
    assert times[-1][1] <= done.duration + 0.5
    assert done.duration == pytest.approx(len(sound) / 16000, abs=0.1)


def test_silence_says_nothing_with_vad(listener: CallEngine) -> None:
    call = Transcribe(samples=np.zeros(32000, np.float32), vad_filter=True)
    done = listener.run(call, Heard())
    assert isinstance(done, Transcribed)
    assert done.segments == []


def test_the_same_text_gives_the_same_sound(speaker: CallEngine) -> None:
    first, second = (speaker.run(Speak(text="Hello."), Heard()) for _ in range(2))
    assert isinstance(first, Spoken)
    assert isinstance(second, Spoken)
    assert np.array_equal(first.samples, second.samples)


def test_speed_shortens(speaker: CallEngine) -> None:
    slow, fast = (speaker.run(Speak(text=SAID, speed=s), Heard()) for s in (0.8, 1.6))
    assert isinstance(slow, Spoken)
    assert isinstance(fast, Spoken)
    assert len(fast.samples) < len(slow.samples)


@pytest.mark.parametrize(
    "call",
    [
        Speak(text="Hola", language="es"),
        Speak(text="x", voice="nobody"),
        Speak(text="x", speed=9.0),
    ],
)
def test_what_it_cannot_speak_is_said(speaker: CallEngine, call: Speak) -> None:
    with pytest.raises(InvalidInput, match=r"@skerry/hibari-tts"):
        speaker.run(call, Heard())


def test_what_it_cannot_hear_is_said(listener: CallEngine, sound: Array) -> None:
    with pytest.raises(InvalidInput, match="'xx'"):
        listener.run(Transcribe(samples=sound, language="xx"), Heard())
    with pytest.raises(InvalidInput, match="English only"):
        listener.run(Transcribe(samples=sound, translate=True), Heard())


def test_a_cancelled_call_ends_early(speaker: CallEngine) -> None:
    sink = Heard()
    sink.gone = True
    done = speaker.run(Speak(text=SAID), sink)
    whole = speaker.run(Speak(text=SAID), Heard())
    assert isinstance(done, Spoken)
    assert isinstance(whole, Spoken)
    assert len(done.samples) < len(whole.samples)

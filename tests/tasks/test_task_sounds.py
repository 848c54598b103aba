"""Sounds: files of every width and format, hostile ones, and the two speech tasks."""

from __future__ import annotations

import base64
import io
import struct
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skerry.errors import AiError, InvalidData, InvalidInput, RequestTooLarge
from skerry.tasks.base import (
    Array,
    CallProcessor,
    Segment,
    Speak,
    Spoken,
    Transcribe,
    Transcribed,
    Word,
)
from skerry.tasks.registry import load_tasks
from skerry.tasks.sounds import RATE, check_sound, read_sound
from skerry.tasks.validate import InputCheck
from skerry.tasks.wav import write_wav
from skerry.types import ModelFiles

TASKS = load_tasks()


def tone(seconds: float = 0.5, rate: int = RATE) -> Array:
    at = np.arange(int(seconds * rate)) / rate
    return (0.5 * np.sin(2 * np.pi * 440 * at)).astype(np.float32)


def pitch(samples: Array) -> float:
    """The loudest frequency, in hertz."""
    return float(np.argmax(np.abs(np.fft.rfft(samples))) * RATE / len(samples))


def wav(body: bytes, kind: int, channels: int, rate: int, bits: int, extra: bytes = b"") -> bytes:
    block = channels * bits // 8
    fmt = struct.pack("<HHIIHH", kind, channels, rate, rate * block, block, bits) + extra
    chunks = b"fmt " + struct.pack("<I", len(fmt)) + fmt
    chunks += b"LIST" + struct.pack("<I", 3) + b"abc\0"
    chunks += b"data" + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def pcm(samples: Array, bits: int) -> bytes:
    if bits == 8:
        return bytes(np.round(samples * 127 + 128).astype(np.uint8).tobytes())
    whole = np.round(samples.astype(np.float64) * (2 ** (bits - 1) - 1)).astype("<i4")
    if bits == 24:
        return bytes(whole.view(np.uint8).reshape(-1, 4)[:, :3].tobytes())
    return bytes(whole.astype(f"<i{bits // 8}").tobytes())


def encoded(kind: str, codec: str, samples: Array, rate: int = RATE) -> bytes:
    file = io.BytesIO()
    with av.open(file, mode="w", format=kind) as container:
        stream = container.add_stream(codec, rate=rate)
        assert isinstance(stream, av.AudioStream)
        stream.layout = "mono"
        resampler = av.AudioResampler(
            format=stream.format.name, layout="mono", rate=rate, frame_size=1024
        )
        whole = (samples * 32767).astype(np.int16).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(whole, format="s16", layout="mono")
        frame.sample_rate = rate
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    return file.getvalue()


@pytest.mark.parametrize("channels", [1, 2, 5])
@pytest.mark.parametrize("bits", [8, 16, 24, 32])
def test_whole_number_wavs(bits: int, channels: int) -> None:
    samples = tone()
    body = pcm(samples.repeat(channels), bits)
    got = read_sound(wav(body, 1, channels, RATE, bits))
    assert got.dtype == np.float32
    assert got == pytest.approx(samples, abs=0.01 if bits == 8 else 1e-4)


@pytest.mark.parametrize("width", [32, 64])
def test_float_wavs_are_clipped_and_rid_of_what_is_no_number(width: int) -> None:
    samples = tone().astype(f"<f{width // 8}")
    samples[:3] = [np.nan, np.inf, -7]
    got = read_sound(wav(samples.tobytes(), 3, 1, RATE, width))
    assert np.isfinite(got).all()
    assert got[:3].tolist() == [0, 1, -1]
    assert got[3:] == pytest.approx(tone()[3:], abs=1e-6)


def test_an_extensible_wav() -> None:
    extra = struct.pack("<HHI", 22, 16, 0) + struct.pack("<H", 1) + b"\0" * 14
    got = read_sound(wav(pcm(tone(), 16), 0xFFFE, 1, RATE, 16, extra))
    assert got == pytest.approx(tone(), abs=1e-4)


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000, 96000])
def test_other_rates_are_resampled(rate: int) -> None:
    got = read_sound(write_wav(tone(0.5, rate), rate))
    assert len(got) == pytest.approx(RATE / 2, abs=RATE * 0.01)
    assert pitch(got) == pytest.approx(440, abs=8)
    assert np.abs(got).max() == pytest.approx(0.5, abs=0.08)


@pytest.mark.parametrize(
    ("kind", "codec", "rate"),
    [
        ("mp3", "libmp3lame", 22050),
        ("flac", "flac", 44100),
        ("ogg", "libopus", 48000),
        ("ipod", "aac", 44100),
        ("adts", "aac", 16000),
        ("webm", "libopus", 48000),
        ("aiff", "pcm_s16be", 16000),
        ("wav", "pcm_mulaw", 8000),
    ],
)
def test_other_formats(kind: str, codec: str, rate: int) -> None:
    got = read_sound(encoded(kind, codec, tone(0.5, rate), rate))
    assert got.dtype == np.float32
    assert got.ndim == 1
    assert pitch(got[1600:7200]) == pytest.approx(440, abs=8)


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF])
def test_a_wav_that_was_streamed_has_no_size(size: int) -> None:
    data = bytearray(write_wav(tone(), RATE))
    data[40:44] = struct.pack("<I", size)
    assert read_sound(bytes(data)) == pytest.approx(tone(), abs=1e-4)


def test_an_odd_byte_at_the_end() -> None:
    assert len(read_sound(write_wav(tone(), RATE)[:-1])) == len(tone()) - 1


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (write_wav(np.zeros(0, np.float32), RATE), "no samples"),
        (write_wav(tone(), RATE)[:30], "cut short"),
        (write_wav(tone(), RATE)[:38], "no data"),
        (wav(b"\0\0", 1, 0, RATE, 16), "0 channels"),
        (wav(b"\0\0", 1, 1, 0, 16), "0 samples a second"),
        (b"RIFX" + write_wav(tone(), RATE)[4:], "RIFX"),
        (b"hello, this is text", "no sound"),
        (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "no sound"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "no sound"),
        (b"\0" * 100, "no sound"),
        (b"\xff", "no sound"),
    ],
)
def test_what_is_no_sound_is_refused_at_once(data: bytes, says: str) -> None:
    with pytest.raises(InvalidData, match="audio") as caught:
        check_sound(data)
    assert says in caught.value.message


def test_a_long_wav_is_refused_by_its_header() -> None:
    with pytest.raises(RequestTooLarge, match="longer than 1 second"):
        check_sound(write_wav(tone(1.5), RATE), longest=1)


def test_a_long_mp3_is_refused_while_it_is_decoded() -> None:
    data = encoded("mp3", "libmp3lame", np.zeros(RATE * 20, np.float32))
    check_sound(data, longest=5)
    with pytest.raises(RequestTooLarge):
        read_sound(data, longest=5)


@pytest.mark.parametrize(("kind", "codec"), [("flac", "flac"), ("ogg", "libopus"), ("ipod", "aac")])
def test_a_file_that_is_cut_is_decoded_as_far_as_it_goes_or_refused(kind: str, codec: str) -> None:
    rate = 48_000 if codec == "libopus" else RATE
    data = encoded(kind, codec, tone(1.0, rate), rate)
    for part in (0.02, 0.5, 0.95):
        try:
            assert len(read_sound(data[: int(len(data) * part)])) <= RATE * 1.1
        except InvalidData as error:
            assert "audio" in error.message


HEADS = [
    b"RIFF\0\0\0\0WAVEfmt ",
    b"ID3\x04",
    b"fLaC",
    b"OggS\0",
    b"\0\0\0\x18ftypM4A ",
    b"\xff\xfb",
]


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(HEADS), st.binary(max_size=300))
def test_rubbish_behind_a_good_start_is_refused(head: bytes, tail: bytes) -> None:
    try:
        samples = read_sound(head + tail, longest=10)
    except AiError as error:
        assert error.code in {5004, 3006}
    else:
        assert samples.dtype == np.float32


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 255)), max_size=6))
def test_a_damaged_wav_header(damage: list[tuple[int, int]]) -> None:
    data = bytearray(write_wav(tone(0.05), RATE))
    for at, value in damage:
        data[at] = value
    try:
        samples = read_sound(bytes(data), longest=10)
    except AiError:
        return
    assert np.isfinite(samples).all()


@given(st.lists(st.floats(-2, 2, width=32), min_size=1, max_size=50))
def test_what_is_written_is_read(values: list[float]) -> None:
    samples = np.array(values, np.float32)
    got = read_sound(write_wav(samples, RATE))
    assert got == pytest.approx(np.clip(samples, -1, 1), abs=1e-4)


# ---- automatic-speech-recognition


def opened(task: str, **options: Any) -> CallProcessor:
    out = TASKS[task].open(ModelFiles("@test/model", task, Path("/nowhere"), options))
    assert isinstance(out, CallProcessor)
    return out


def test_what_the_engine_is_asked() -> None:
    audio = write_wav(tone(), RATE)
    call = opened("automatic-speech-recognition").prepare(
        {"audio": audio, "task": "translate", "language": "de", "vad_filter": True, "prefix": "So"}
    )
    assert isinstance(call, Transcribe)
    assert call.samples.shape == tone().shape
    assert (call.translate, call.language, call.vad_filter, call.prefix) == (True, "de", True, "So")
    assert opened("automatic-speech-recognition").prepare({"audio": audio}) is not None


@pytest.mark.parametrize("inputs", [{"language": "de"}, {"task": "translate"}])
def test_an_english_model_refuses_other_languages(inputs: dict[str, Any]) -> None:
    check = InputCheck(TASKS["automatic-speech-recognition"], {}, {}, {"languages": "en"})
    audio = write_wav(tone(), RATE)
    assert check.check({"audio": audio, "language": "en"})["audio"] == audio
    with pytest.raises(InvalidInput, match="English only"):
        check.check({"audio": audio, **inputs})


def test_text_words_and_subtitles() -> None:
    heard = Transcribed(
        segments=[
            Segment(
                text=" Hello <b>world</b>.",
                start=0.0,
                end=1.25,
                words=[Word(" Hello", 0.0, 0.5), Word(" world.", 0.5, 1.25)],
                avg_logprob=-0.2,
            ),
            Segment(text=" A\n\nB --> C", start=3661.5, end=3662.0),
        ],
        language="en",
        language_probability=0.9,
        duration=3662.0,
    )
    value, _ = opened("automatic-speech-recognition").finish({}, heard)
    assert value["text"] == "Hello <b>world</b>. A\n\nB --> C"
    assert value["word_count"] == 6
    assert value["words"] == [
        {"word": "Hello", "start": 0.0, "end": 0.5},
        {"word": "world.", "start": 0.5, "end": 1.25},
    ]
    assert value["vtt"] == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.250\nHello &lt;b>world&lt;/b>.\n\n"
        "01:01:01.500 --> 01:01:02.000\nA B --&gt; C\n"
    )
    assert value["transcription_info"]["language"] == "en"
    assert value["segments"][0]["avg_logprob"] == -0.2


def test_silence_is_an_empty_text() -> None:
    silent = Transcribed(segments=[], language="en", language_probability=1.0, duration=1.0)
    value, _ = opened("automatic-speech-recognition").finish({}, silent)
    assert (value["text"], value["word_count"], value["words"]) == ("", 0, [])
    assert value["vtt"] == "WEBVTT\n"


# ---- text-to-speech


def test_the_voice_comes_back_as_mp3_or_wav() -> None:
    model = opened("text-to-speech")
    call = model.prepare({"prompt": "Hello", "lang": "EN-us", "speed": 2})
    assert isinstance(call, Speak)
    assert (call.text, call.language, call.speed, call.voice) == ("Hello", "en", 2.0, None)
    spoken = Spoken(samples=tone(1.0, 22050), rate=22050)
    for encoding, kind in (("mp3", "audio/mpeg"), ("wav", "audio/wav")):
        value, _ = model.finish({"text": "Hello", "encoding": encoding}, spoken)
        assert value["content_type"] == kind
        sound = read_sound(base64.b64decode(value["audio"]))
        assert len(sound) == pytest.approx(RATE, abs=RATE * 0.15)
        assert pitch(sound[2000:14000]) == pytest.approx(440, abs=5)

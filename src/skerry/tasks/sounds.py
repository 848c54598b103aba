"""Sounds: bytes of any common format to 16 kHz mono samples. In the runner (PyAV)."""

from __future__ import annotations

import io

import numpy as np

from skerry.errors import AiError, EngineMissing, InvalidData, RequestTooLarge
from skerry.tasks.base import Array
from skerry.tasks.wav import is_wav, read_header, read_samples

RATE = 16_000
MAX_SECONDS = 3600.0


def sound_format(data: bytes) -> str | None:
    """FFmpeg's name of the container, by its first bytes; None for what is none of ours.

    The format is given to the decoder, never guessed by it: FFmpeg's guess reaches playlists,
    which would make it open other files and addresses.
    """
    if is_wav(data):
        return "wav"
    if data.startswith(b"fLaC"):
        return "flac"
    if data.startswith(b"OggS"):
        return "ogg"
    if data[4:8] == b"ftyp":
        return "mov"
    if data.startswith(b"\x1aE\xdf\xa3"):
        return "matroska"
    if data[:4] == b"FORM" and data[8:12] in (b"AIFF", b"AIFC"):
        return "aiff"
    if data.startswith(b"ID3"):
        return "mp3"
    if len(data) > 1 and data[0] == 0xFF and data[1] & 0xE0 == 0xE0:
        # Frame sync: AAC in ADTS has layer 00, MPEG audio has not.
        return "aac" if data[1] & 0x06 == 0 else "mp3"
    return None


def check_format(data: bytes, field: str = "audio") -> str:
    """FFmpeg's name of the container. Raises InvalidData for what is none that is read."""
    kind = sound_format(data)
    if kind is None:
        raise InvalidData(
            f"{field} is no sound that can be read."
            " Send WAV, MP3, FLAC, Ogg, M4A, AAC, WebM or AIFF"
        )
    return kind


def check_sound(data: bytes, longest: float = MAX_SECONDS, field: str = "audio") -> None:
    """What the first bytes tell, cheaply. Raises InvalidData, RequestTooLarge."""
    if check_format(data, field) != "wav":
        return
    wave = read_header(data, field)
    if wave.frames == 0:
        raise InvalidData(f"{field}: the WAV has no samples. Send a recording")
    if wave.seconds > longest:
        raise _too_long(field, longest)


def read_sound(data: bytes, longest: float = MAX_SECONDS, field: str = "audio") -> Array:
    """float32 mono [n], -1 … 1, 16 kHz. Raises InvalidData, RequestTooLarge, EngineMissing."""
    check_sound(data, longest, field)
    if is_wav(data):
        wave = read_header(data, field)
        if wave.rate == RATE:
            samples = read_samples(data, wave)
            if samples is not None:
                return samples
    return _decode(data, longest, field)


def _too_long(field: str, longest: float) -> RequestTooLarge:
    return RequestTooLarge(f"{field} is longer than {longest:g} seconds. Send it in parts")


def _decode(data: bytes, longest: float, field: str) -> Array:
    try:
        import av
    except ImportError as error:
        raise EngineMissing("this sound needs av: pip install skerry[speech]") from error
    parts: list[Array] = []
    count, most = 0, int(longest * RATE)
    try:
        with av.open(io.BytesIO(data), mode="r", format=sound_format(data)) as container:
            if not container.streams.audio:
                raise InvalidData(f"{field} has no sound in it. Send a recording")
            resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
            for frame in container.decode(audio=0):
                for piece in resampler.resample(frame):
                    parts.append(piece.to_ndarray().reshape(-1))
                    count += parts[-1].size
                if count > most:
                    raise _too_long(field, longest)
            parts.extend(piece.to_ndarray().reshape(-1) for piece in resampler.resample(None))
    except AiError:
        raise
    except Exception as error:  # FFmpeg's errors are of many kinds
        raise InvalidData(
            f"{field} cannot be decoded ({error}); is it cut short? Send the whole file"
        ) from error
    if not parts or not sum(part.size for part in parts):
        raise InvalidData(f"{field} has no samples. Send a recording")
    return np.concatenate(parts).astype(np.float32) / 32768

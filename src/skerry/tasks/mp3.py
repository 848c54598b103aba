"""MP3 files, written by PyAV where it is installed and can."""

from __future__ import annotations

import io

import numpy as np

from skerry.tasks.base import Array

CODEC = "libmp3lame"


def can_write_mp3() -> bool:
    """Whether PyAV is here and has the encoder."""
    try:
        import av
    except ImportError:
        return False
    return CODEC in av.codecs_available


def write_mp3(samples: Array, rate: int, bits: int = 64_000) -> bytes:
    """A mono MP3 of float samples, -1 … 1, clipped; `bits` a second."""
    import av

    whole = np.round(np.clip(np.nan_to_num(samples), -1, 1) * 32767).astype(np.int16)
    file = io.BytesIO()
    with av.open(file, mode="w", format="mp3") as container:
        stream = container.add_stream(CODEC, rate=_rate(rate))
        assert isinstance(stream, av.AudioStream)
        stream.layout = "mono"
        stream.bit_rate = bits
        frame = av.AudioFrame.from_ndarray(whole.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = rate
        resampler = av.AudioResampler(
            format=stream.format.name, layout="mono", rate=_rate(rate), frame_size=1152
        )
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    return file.getvalue()


def _rate(rate: int) -> int:
    """The nearest rate that MPEG audio has, not below `rate` where there is one."""
    rates = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
    return next((known for known in rates if known >= rate), rates[-1])

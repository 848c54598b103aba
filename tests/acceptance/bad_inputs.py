"""Bad requests as bytes on the wire, each with the error that is documented for it.

The measurement `python -m bench.bad_input` sends the same ones.
"""

from __future__ import annotations

import base64
import io
import json
import struct
import zlib
from collections.abc import Callable
from typing import Any

import msgspec
from PIL import Image

RUN = "/client/v4/accounts/local/ai/run/"
CHAT = "@skerry/smollm2-135m-instruct"
EMBED = "@skerry/minilm-l6-v2"
SENTIMENT = "@skerry/minilm-sst2"
LABELS = "@skerry/efficientnet-lite0"
BOXES = "@skerry/nanodet"
SPEECH = "@skerry/whisper-tiny-en"
MODELS = (CHAT, EMBED, SENTIMENT, LABELS, BOXES, SPEECH)

JSON = "application/json"


class Bad(msgspec.Struct, frozen=True):
    """One request that must be refused."""

    name: str
    path: str
    body: Callable[[], bytes]
    """Made when it is needed: some have tens of megabytes."""
    status: int
    code: int
    says: str
    """A regular expression that the message matches: what is wrong and what to do."""
    label: str | None = JSON
    """Content-Type."""
    in_runner: bool = False
    """The runner refuses it: it takes the inference that is under way, too."""


def png(width: int, height: int, rest: bytes = b"") -> bytes:
    """The beginning of a PNG that says it is so large."""
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0d" + head + struct.pack(">I", zlib.crc32(head)) + rest


def jpeg(side: int = 640) -> bytes:
    """A whole JPEG of noise."""
    out = io.BytesIO()
    Image.effect_noise((side, side), 80).convert("RGB").save(out, "JPEG")
    return out.getvalue()


def wav(samples: bytes = b"", rate: int = 16_000, *, channels: int = 1) -> bytes:
    """A 16-bit WAV."""
    form = struct.pack("<HHIIHH", 1, channels, rate, rate * 2, 2, 16)
    return b"".join(
        (
            b"RIFF" + struct.pack("<I", 36 + len(samples)) + b"WAVE",
            b"fmt " + struct.pack("<I", len(form)) + form,
            b"data" + struct.pack("<I", len(samples)) + samples,
        )
    )


def _json(value: Any) -> Callable[[], bytes]:
    return lambda: json.dumps(value).encode()


def _raw(value: bytes) -> Callable[[], bytes]:
    return lambda: value


def run(name: str, model: str, body: Any, status: int, code: int, says: str, **more: Any) -> Bad:
    """A bad request to ai/run/MODEL; `body` is bytes, JSON, or a function that makes bytes."""
    make = body if callable(body) else _raw(body) if isinstance(body, bytes) else _json(body)
    return Bad(f"run: {name}", RUN + model, make, status, code, says, **more)


def openai(name: str, face: str, body: Any, status: int, code: int, says: str, **more: Any) -> Bad:
    """The same for /v1/FACE."""
    make = body if callable(body) else _raw(body) if isinstance(body, bytes) else _json(body)
    return Bad(f"v1: {name}", f"/v1/{face}", make, status, code, says, **more)


def _chat(**fields: Any) -> dict[str, Any]:
    return {"model": CHAT, "messages": [{"role": "user", "content": "hi"}]} | fields


def _embed(**fields: Any) -> dict[str, Any]:
    return {"model": EMBED, "input": "hi"} | fields


def _text(head: str, tail: str = '"}') -> Callable[[], bytes]:
    return lambda: f"{head}{'word ' * 2_000_000}{tail}".encode()


def _keyed(count: int, *, gap: bool) -> bytes:
    pairs = ",".join(f'"{at}":{at % 251}' for at in range(count))
    last = f',"{count + 1}":1' if gap else ""
    return f'{{"image":{{{pairs}{last}}}}}'.encode()


def _base64(length: int, end: str) -> bytes:
    return b'{"image":"' + b"QUJD" * (length // 4) + end.encode() + b'"}'


def _broken_jpeg(length: int, end: str) -> bytes:
    """Base64 that begins like a JPEG."""
    head = base64.b64encode(jpeg()[:30_000])
    return b'{"image":"' + head + b"QUJD" * (length // 4) + end.encode() + b'"}'


def _jpeg_list(count: int, last: str) -> bytes:
    head = ",".join(map(str, jpeg()[:30_000])).encode()
    return b'{"image":[' + head + b"," + b"137," * count + last.encode() + b"]}"


def _list(count: int, last: str) -> bytes:
    return b'{"image":[' + b"137," * count + last.encode() + b"]}"


def _deep(opening: str, closing: str, count: int) -> bytes:
    return f'{{"prompt":"x","tools":[{opening * count}{closing * count}]}}'.encode()


def _cut_png() -> bytes:
    out = io.BytesIO()
    Image.effect_noise((300, 300), 80).convert("RGB").save(out, "PNG")
    return out.getvalue()[:20_000]


MP3_GARBAGE = b"\xff\xfb\x90\x00" + bytes(range(256)) * 40
HTML = b"<!doctype html><html><body>404 not found</body></html>"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="10" height="10"><rect/></svg>'

NO_NAME = "is not a model name like @.*skerry models list"

NAMES = [
    run("unknown model", "@cf/nobody/nothing", {"prompt": "x"}, 400, 5007, "No such model.*Model"
        " not found.*skerry models list"),
    run("misspelt model", "@skerry/minilm-l6-v3", {"text": "x"}, 400, 5007,
        "Did you mean @skerry/minilm-l6-v2"),
    run("no model name", "minilm", {"text": "x"}, 404, 3042, NO_NAME),
    run("model name is not UTF-8", "%ff", {"text": "x"}, 400, 5006, "UTF-8"),
    run("path traversal", "..%2f..%2fetc%2fpasswd", {"text": "x"}, 404, 3042, NO_NAME),
    openai("unknown chat model", "chat/completions", _chat(model="@cf/openai/gpt-9"), 400, 5007,
           "No such model.*skerry models list"),
    openai("no model name", "chat/completions", _chat(model="gpt-4o"), 404, 3042,
           "skerry models list"),
    openai("model of another task", "chat/completions", _chat(model=EMBED), 400, 5006,
           "text-embeddings.*text-generation"),
    openai("no model", "embeddings", {"input": "x"}, 400, 5006, "model"),
]  # fmt: skip

BODIES = [
    run("empty body", CHAT, b"", 400, 3003, "no body; send"),
    run("empty body for an image", LABELS, b"", 400, 3003, "no body; send"),
    openai("empty body", "chat/completions", b"", 400, 3003, "no body; send"),
    *(
        run(f"body is {what}", CHAT, body, 400, 5006, f"body is {what}; send a JSON object")
        for what, body in (
            ("an array", b"[1]"), ("a string", b'"x"'), ("null", b"null"), ("a number", b"1"),
        )
    ),
    openai("body is an array", "embeddings", b"[1]", 400, 5006, "object"),
    run("not JSON", CHAT, b"{prompt: hi}", 400, 5006, "not valid JSON"),
    run("cut JSON", EMBED, b'{"text": "abc', 400, 5006, "not valid JSON"),
    run("two objects", EMBED, b'{"text":"a"}{"text":"b"}', 400, 5006, "not valid JSON"),
    run("form fields", CHAT, b"prompt=hello", 400, 5006, "JSON",
        label="application/x-www-form-urlencoded"),
    run("XML", EMBED, b"<text>x</text>", 400, 5006, "JSON", label="application/xml"),
    run("multipart", LABELS, b"--b\r\n\r\nx\r\n--b--\r\n", 400, 5006, "multipart.*send the image",
        label="multipart/form-data; boundary=b"),
    run("invalid UTF-8", CHAT, b'{"prompt": "\xff\xfe"}', 400, 5006, "not valid JSON.*utf|UTF"),
    openai("invalid UTF-8", "embeddings", b'{"model":"x","input":"\xc3\x28"}', 400, 5006, "JSON"),
    run("UTF-16", CHAT, '{"prompt": "x"}'.encode("utf-16"), 400, 5006, "JSON"),
    run("half a surrogate pair", CHAT, b'{"prompt": "\\ud800"}', 400, 5006, "JSON|surrogate"),
    run("nested 100,000 deep", CHAT, b'{"a":' * 100_000, 400, 5006, "nested too deeply"),
    run("arrays 100,000 deep", EMBED, b'{"text":' + b"[" * 100_000, 400, 5006,
        "nested too deeply"),
    run("tools nested 5,000 deep", CHAT, _deep('{"parameters":', "}", 5000), 400, 5006,
        "nested too deeply|JSON"),
    openai("nested 100,000 deep", "chat/completions", b'{"messages":' + b"[" * 100_000, 400, 5006,
           "nested too deeply|Expected `object`, got `array`"),
]  # fmt: skip

FIELDS = [
    run("missing field", CHAT, {}, 400, 5006, "prompt.*messages.*Add"),
    run("missing text", EMBED, {"pooling": "mean"}, 400, 5006, "'text'. Add it"),
    run("missing image", LABELS, {"a": 1}, 400, 5006, "image"),
    run("missing content", CHAT, {"messages": [{"role": "user"}]}, 400, 5006, "content.*Add it"),
    openai("missing messages", "chat/completions", {"model": CHAT}, 400, 5006, "messages"),
    run("wrong type", CHAT, {"prompt": 1}, 400, 5006, "'/prompt', 'integer' not in.*Send string"),
    run("wrong type of text", EMBED, {"text": {"a": 1}}, 400, 5006, "'/text', 'object' not in"),
    run("wrong type in a list", EMBED, {"text": ["a", None]}, 400, 5006, "'/text/1'"),
    run("wrong role", CHAT, {"messages": [{"role": "dog", "content": "x"}]}, 400, 5006,
        "dog.*Send one of them"),
    run("image as a number", BOXES, {"image": 5}, 400, 5006, "'/image'"),
    run("stream as a word", CHAT, {"prompt": "x", "stream": "yes"}, 400, 5006, "'/stream'"),
    openai("wrong type", "embeddings", _embed(input={"a": 1}), 400, 5006, "input"),
    openai("temperature as a word", "chat/completions", _chat(temperature="hot"), 400, 5006,
           "temperature"),
    run("unknown field", CHAT, {"prompt": "x", "temprature": 1}, 400, 5006,
        "temprature.*Leave it out; the fields are: prompt"),
    run("unknown field of sentiment", SENTIMENT, {"text": "x", "lang": "en"}, 400, 5006, "lang"),
    run("unknown field of speech", SPEECH, {"audio": "QUJD", "x": 1}, 400, 5006, "'?/x"),
    run("100,000 unknown fields", CHAT,
        lambda: json.dumps({f"f{at}": at for at in range(100_000)}).encode(), 400, 5006,
        "Leave it out"),
    run("empty prompt", CHAT, {"prompt": ""}, 400, 5006, "'/prompt' not met.*at least 1"),
    run("prompt and messages", CHAT,
        {"prompt": "x", "messages": [{"role": "user", "content": "x"}]}, 400, 5006,
        "prompt and messages. Send only one"),
    run("a LoRA that is not there", CHAT, {"prompt": "x", "lora": "no-such"}, 400, 3039,
        "no LoRA 'no-such'.*Put its GGUF file"),
    run("a LoRA for embeddings", EMBED, {"text": "x", "lora": "mine"}, 405, 5005,
        "leave out the field"),
    run("tool without a name", CHAT, {"prompt": "x", "tools": [{"type": "function"}]}, 400, 5006,
        "Give every tool a name"),
    run("image in a message", CHAT,
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}]},
        400, 5006, "takes text only"),
    run("JSON Schema that is none", CHAT,
        {"prompt": "x", "response_format": {"type": "json_schema", "json_schema": {"type": 5}}},
        400, 5006, "not a valid JSON Schema"),
]  # fmt: skip

NUMBERS = [
    run("NaN", CHAT, b'{"prompt": "x", "temperature": NaN}', 400, 5006, "JSON"),
    run("Infinity", CHAT, b'{"prompt": "x", "top_p": Infinity}', 400, 5006, "JSON"),
    run("1e999", CHAT, b'{"prompt": "x", "temperature": 1e999}', 400, 5006,
        "out of range.*send"),
    run("NaN in a list", LABELS, b'{"image": [1, NaN]}', 400, 5006, "JSON"),
    openai("NaN", "chat/completions",
           b'{"model":"x","messages":[],"temperature":NaN}', 400, 5006, "JSON"),
    run("negative max_tokens", CHAT, {"prompt": "x", "max_tokens": -1}, 400, 5006,
        "'/max_tokens' not met.*at least 1"),
    run("zero max_tokens", CHAT, {"prompt": "x", "max_tokens": 0}, 400, 5006, "at least 1"),
    run("half a token", CHAT, {"prompt": "x", "max_tokens": 1.5}, 400, 5006, "'/max_tokens'"),
    run("huge seed", CHAT, {"prompt": "x", "seed": 10**30}, 400, 5006, "seed"),
    run("integer of 5,000 digits", CHAT, b'{"prompt":"x","seed":' + b"9" * 5000 + b"}", 400, 5006,
        "out of range.*send"),
    run("temperature 100", CHAT, {"prompt": "x", "temperature": 100}, 400, 5006,
        "at most 5"),
    openai("huge seed", "chat/completions", _chat(seed=10**30), 400, 5006, "seed|integer|int"),
]  # fmt: skip

SIZES = [
    run("10 MB of text", CHAT, _text('{"prompt":"'), 413, 3006, "larger than the 4194304 bytes"),
    run("10 MB to embed", EMBED, _text('{"text":"'), 413, 3006, "larger than"),
    run("10 MB of sentiment", SENTIMENT, _text('{"text":"'), 413, 3006, "larger than"),
    openai("10 MB of text", "chat/completions",
           _text(f'{{"model":"{CHAT}","messages":[{{"role":"user","content":"', '"}]}'), 413, 3006,
           "at most 4194304"),
    openai("10 MB to embed", "embeddings", _text(f'{{"model":"{EMBED}","input":"'), 413, 3006,
           "at most 4194304"),
    Bad("ai/run: 10 MB of text", RUN[:-1],
        _text(f'{{"model":"{CHAT}","input":{{"prompt":"', '"}}'), 413, 3006, "at most 4194304"),
    run("empty batch", EMBED, {"text": []}, 400, 5006, "at least 1"),
    run("101 texts", EMBED, {"text": ["x"] * 101}, 400, 5006, "101 items. Send at most 100"),
    run("an empty text in a batch", EMBED, {"text": ["a", ""]}, 400, 5006, "'/text/1'.*at least 1"),
    openai("empty batch", "embeddings", _embed(input=[]), 400, 5006, "at least 1"),
    openai("101 texts", "embeddings", _embed(input=["x"] * 101), 400, 5006, "at most 100"),
    openai("arrays of tokens", "embeddings", _embed(input=[[1, 2]]), 400, 5006, "send the texts"),
    run("no messages", CHAT, {"messages": []}, 400, 5006, "at least 1"),
    openai("no messages", "chat/completions", _chat(messages=[]), 400, 5006, "at least 1"),
    run("10,000 messages that are none", CHAT, {"messages": [{"a": 1}] * 10_000}, 400, 5006,
        "'/messages/0' are 'role'. Add it"),
    run("10,001 messages", CHAT, {"messages": [{"role": "user", "content": "x"}] * 10_001}, 400,
        5006, "at most 10000"),
    openai("17 answers", "chat/completions", _chat(n=17), 400, 5006, "between 1 and 16"),
    run("prompt longer than the context", CHAT, {"prompt": "word " * 20_000}, 413, 3006,
        "takes 8192|context.*[Ss]horten", in_runner=True),
    run("prompt of 4 MB", CHAT, {"prompt": "word " * 800_000}, 413, 3006,
        "takes 8192|context.*[Ss]horten", in_runner=True),
    openai("prompt longer than the context", "chat/completions",
           _chat(messages=[{"role": "user", "content": "word " * 20_000}]), 413, 3006,
           "takes 8192|context.*[Ss]horten", in_runner=True),
    run("text not to be cut", EMBED, {"text": "word " * 5000, "truncate_inputs": False}, 413, 3006,
        "truncate_inputs: true", in_runner=True),
]  # fmt: skip

IMAGES = [
    run("broken base64", LABELS, {"image": "%%%not base64%%%"}, 400, 5004, "not valid base64"),
    run("cut base64", LABELS, {"image": "QUJDR"}, 400, 5004, "not valid base64.*whole file"),
    run("base64 in Unicode", LABELS, {"image": "äöü" * 10}, 400, 5004, "not valid base64"),
    run("data URL without base64", LABELS, {"image": "data:image/png,abc"}, 400, 5004,
        "Send data:…;base64"),
    run("URL", LABELS, {"image": "https://example.com/cat.jpg"}, 400, 5004,
        "not fetched. Send the file's bytes"),
    run("24 MB of broken base64", LABELS, lambda: _base64(24_000_000, "!"), 400, 5004,
        "no image"),
    run("24 MB of base64 that is no image", LABELS, lambda: _base64(24_000_000, ""), 400, 5004,
        "no image"),
    run("24 MB of base64 that begins like a JPEG and is cut", LABELS,
        lambda: _broken_jpeg(24_000_000, "QU"), 400, 5004, "not valid base64"),
    run("24 MB of base64 that begins like a JPEG with an odd end", LABELS,
        lambda: _broken_jpeg(24_000_000, "!?!?"), 400, 5004, "not valid base64"),
    run("8 MB of numbers that begin like a JPEG, the last is none", LABELS,
        lambda: _jpeg_list(2_000_000, "256"), 400, 5004, "0 to 255"),
    run("32 MB of numbers that begin like a JPEG, the last a text", LABELS,
        lambda: _jpeg_list(8_000_000, '"x"'), 400, 5004, "0 to 255"),
    run("numbers past a byte", LABELS, {"image": [1, 2, 256]}, 400, 5004, "0 to 255"),
    run("8 MB of numbers, the last is none", LABELS, lambda: _list(2_000_000, "256"), 400, 5004,
        "no image"),
    run("8 MB of numbers, the last a text", LABELS, lambda: _list(2_000_000, '"x"'), 400, 5004,
        "no image"),
    run("8 MB of numbers with points", LABELS, lambda: _list(2_000_000, "1.5"), 400, 5004,
        "no image"),
    run("32 MB of numbers that are no image", LABELS, lambda: _list(8_300_000, "1"), 400, 5004,
        "no image"),
    run("empty list", LABELS, {"image": []}, 400, 5004, "empty. Send"),
    run("empty text", LABELS, {"image": ""}, 400, 5004, "empty. Send"),
    run("empty object", LABELS, {"image": {}}, 400, 5004, "ArrayBuffer. Send"),
    run("object with a gap", LABELS, {"image": {"0": 1, "2": 3}}, 400, 5004, "in a row"),
    run("object of words", LABELS, {"image": {"a": 1}}, 400, 5004, "in a row"),
    run("object of 2M keys", LABELS, lambda: _keyed(2_000_000, gap=False), 400, 5004, "no image"),
    run("object of 2M keys with a gap", LABELS, lambda: _keyed(2_000_000, gap=True), 400, 5004,
        "no image"),
    *(
        run(f"{what} ({model})", model, body, status, code, says, label="image/png",
            in_runner=True)
        for model in (LABELS, BOXES)
        for what, body, status, code, says in (
            ("truncated JPEG", lambda: jpeg()[:9000], 400, 5004, "whole file"),
            ("JPEG of 3 bytes", b"\xff\xd8\xff", 400, 5004, "ends.*Send another"),
            ("truncated PNG", _cut_png, 400, 5004, "whole file"),
            ("20,000 x 20,000 PNG", png(20_000, 20_000), 413, 3006, "Make it smaller"),
            ("PNG of 0 x 0", png(0, 0), 400, 5004, "0 x 0 pixels. Send another"),
            ("PNG of 4 billion x 1", png(2**32 - 1, 1), 413, 3006, "smaller"),
            ("PNG signature only", b"\x89PNG\r\n\x1a\n", 400, 5004, "Send another"),
            ("GIF signature only", b"GIF89a", 400, 5004, "Send"),
            ("SVG", SVG, 400, 5004, "no image.*Send PNG"),
            ("HTML", HTML, 400, 5004, "no image.*Send PNG"),
            ("a sound", wav(b"\x00\x10" * 8000), 400, 5004, "no image.*Send PNG"),
        )
    ),
]  # fmt: skip

SOUNDS = [
    run("WAV without samples", SPEECH, wav(), 400, 5004, "no samples. Send a recording",
        label="audio/wav"),
    run("WAV cut in its header", SPEECH, wav(b"\0" * 100)[:30], 400, 5004, "whole file",
        label="audio/wav"),
    run("WAV of 0 Hz", SPEECH, wav(b"\0" * 100, 0), 400, 5004, "0 samples a second",
        label="audio/wav"),
    run("WAV of 0 channels", SPEECH, wav(b"\0" * 100, channels=0), 400, 5004, "0 channels",
        label="audio/wav"),
    run("sound of hours", SPEECH, lambda: wav(bytes(16_000_000), 100), 413, 3006, "in parts",
        label="audio/wav"),
    run("MP3 garbage", SPEECH, MP3_GARBAGE, 400, 5004, "Send", label="audio/mpeg",
        in_runner=True),
    run("ID3 garbage", SPEECH, b"ID3" + b"\xfe" * 5000, 400, 5004, "Send", label="audio/mpeg",
        in_runner=True),
    run("Ogg garbage", SPEECH, b"OggS" + b"\x07" * 5000, 400, 5004, "Send", label="audio/ogg",
        in_runner=True),
    run("FLAC garbage", SPEECH, b"fLaC" + b"\xa5" * 5000, 400, 5004, "Send", label="audio/flac",
        in_runner=True),
    run("HTML as sound", SPEECH, HTML, 400, 5004, "no sound.*Send WAV", label="audio/wav"),
    run("playlist as sound", SPEECH, b"#EXTM3U\nfile:///etc/passwd\n", 400, 5004, "no sound",
        label="audio/mpeg"),
    run("image as sound", SPEECH, png(10, 10), 400, 5004, "no sound.*Send WAV", label="audio/wav"),
    run("broken base64", SPEECH, {"audio": "@@@@"}, 400, 5004, "not valid base64"),
    run("24 MB of base64 that is no sound", SPEECH,
        lambda: b'{"audio":"' + base64.b64encode(bytes(18_000_000)) + b'"}', 400, 5004,
        "no sound"),
    run("33 MB", SPEECH, lambda: wav(bytes(33 << 20)), 413, 3006, "larger than",
        label="audio/wav"),
]  # fmt: skip

BAD = [*NAMES, *BODIES, *FIELDS, *NUMBERS, *SIZES, *IMAGES, *SOUNDS]

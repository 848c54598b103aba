"""Writing Cap'n Proto's text form: values that nothing in them can break out of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

_PLAIN = frozenset(range(0x20, 0x7F)) - {0x22, 0x5C}


class Raw(msgspec.Struct, frozen=True):
    """Text that is written as it is: an enum's word, an embed."""

    text: str


Value = str | bool | int | Raw | Mapping[str, "Value"] | Sequence["Value"]


def quoted(text: str) -> str:
    """A text literal. Every byte but plain ASCII is escaped; lone surrogates become U+FFFD.

    Two digits always follow \\x, which is all that Cap'n Proto's lexer reads.
    """
    data = text.encode("utf-8", "surrogatepass").decode("utf-8", "replace").encode()
    out = "".join(chr(byte) if byte in _PLAIN else f"\\x{byte:02x}" for byte in data)
    return f'"{out}"'


def embed(name: str) -> Raw:
    """The bytes of a file beside the configuration, read by workerd with it."""
    return Raw(f"embed {quoted(name)}")


def written(value: Value) -> str:
    """A value; mappings are structs, sequences lists."""
    if isinstance(value, Raw):
        return value.text
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Mapping):
        return "(" + ", ".join(f"{key} = {written(each)}" for key, each in value.items()) + ")"
    return "[" + ", ".join(written(each) for each in value) + "]"

"""Check a caller's input against a model's schema; the first step of every inference."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

import jsonschema_rs
import msgspec

from skerry.errors import CatalogError, InvalidInput
from skerry.tasks.base import Task
from skerry.types import Inputs

MANY = 64 << 10
"""Bytes of JSON past which the first error is told, not the best of all: an error takes 12 us."""

_encoder = msgspec.json.Encoder()
_NAMES = {
    dict: "object",
    list: "array",
    tuple: "array",
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    bytes: "binary",
    type(None): "null",
}


def input_schema(
    task: Task, entry_schema: Mapping[str, Any], options: Mapping[str, Any]
) -> dict[str, Any]:
    """The task's input schema with a model's own properties in place of the task's.

    A property that the model sets to false is taken away; the model then refuses that field.
    `required`, where the model gives it, replaces the task's list.
    """
    schema = dict(task.input_for(options))
    if not entry_schema:
        return schema
    changes = dict(entry_schema)
    required = changes.pop("required", None)
    properties = {**schema.get("properties", {}), **changes}
    schema["properties"] = {name: value for name, value in properties.items() if value is not False}
    if required is not None:
        schema["required"] = required
    return schema


class InputCheck:
    """One model's check: decode, fill in defaults, validate, and what a schema cannot say."""

    def __init__(
        self,
        task: Task,
        entry_schema: Mapping[str, Any],
        defaults: Mapping[str, Any],
        options: Mapping[str, Any],
    ) -> None:
        """Compiles the schema. Raises CatalogError where the model's own part is no schema."""
        self.schema = input_schema(task, entry_schema, options)
        self._task = task
        self._defaults = dict(defaults)
        self._options = dict(options)
        properties = self.schema["properties"]
        self._closed = self.schema.get("additionalProperties") is False
        self._most = {name: most for name in properties if (most := _most(properties[name]))}
        try:
            self._validator = jsonschema_rs.Draft202012Validator(self.schema, offline=True)
        except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
            raise CatalogError(f"task {task.name}: the input schema is none: {error}") from error

    def check(self, inputs: Any) -> Inputs:
        """The inputs, decoded and with the model's defaults.

        Raises InvalidInput (5006) naming the first field that does not match, InvalidData (5004)
        for what cannot be decoded, RequestTooLarge (3006). Changes nothing in `inputs`.
        """
        if not isinstance(inputs, dict):
            raise InvalidInput(
                f"Bad input: Error: Type mismatch of '/', '{_kind(inputs)}' not in 'object'."
                " Send a JSON object"
            )
        if self._defaults:
            inputs = {**self._defaults, **inputs}
        decoded = self._task.decode(inputs)
        seen = self._task.outline(decoded)
        self._quick(seen)
        try:
            # Quicker than a walk: no half surrogates, nothing too deep.
            size = len(_encoder.encode(seen))
            if not self._validator.is_valid(seen):
                raise InvalidInput(f"Bad input: Error: {self._explain(seen, size > MANY)}")
        except UnicodeEncodeError as error:
            raise InvalidInput(
                f"Bad input: Error: {_where(seen, _surrogate)} holds half of a surrogate pair,"
                " which is no text. Send valid Unicode"
            ) from error
        except RecursionError as error:
            raise InvalidInput(
                "Bad input: Error: the input is nested too deeply. Send a flatter object"
            ) from error
        except (ValueError, OverflowError, TypeError) as error:
            odd = _where(seen, _foreign)
            reason = f"{odd} is something that JSON has not" if odd else str(error)
            raise InvalidInput(f"Bad input: Error: {reason}. Send JSON values") from error
        self._task.check(decoded, self._options)
        return decoded

    def _quick(self, seen: Inputs) -> None:
        """Too many fields or items, told before they are looked at one by one."""
        properties = self.schema["properties"]
        if self._closed and not seen.keys() <= properties.keys():
            odd = list(islice((f"/{name}" for name in seen if name not in properties), 9))
            if not any(map(_surrogate, odd)):
                text = f"Bad input: Error: {_unexpected(odd, '/', list(properties))}"
                raise InvalidInput(text)
        for name, most in self._most.items():
            value = seen.get(name)
            if isinstance(value, list) and len(value) > most:
                reason = _limit("maxItems", {"limit": most}, value)
                raise InvalidInput(f"Bad input: Error: maxItems at '/{name}' not met: {reason}")

    def _explain(self, seen: Inputs, many: bool) -> str:
        odd = _where(seen, _not_finite)
        if odd:
            return f"{odd} is not a finite number. Send a number"
        if many:
            try:
                self._validator.validate(seen)
            except jsonschema_rs.ValidationError as error:
                return _say(error, self.schema)
        errors = list(self._validator.iter_errors(seen))
        # A field that should not be there is the likeliest reason for one that is missing.
        first = min(errors, key=lambda error: (len(error.instance_path) == 0, _rank(error)))
        return _say(first, self.schema)


def _rank(error: jsonschema_rs.ValidationError) -> int:
    order = ("additionalProperties", "required", "type", "enum")
    name = error.kind.name
    return order.index(name) if name in order else len(order)


def _say(error: jsonschema_rs.ValidationError, schema: Mapping[str, Any]) -> str:
    """One error in Cloudflare's words, and what to do about it."""
    where = "/" + "/".join(str(part) for part in error.instance_path)
    details = error.kind.as_dict()
    name = error.kind.name
    value = error.instance
    if name == "additionalProperties":
        fields = details.get("unexpected", [])
        at = where if where != "/" else ""
        odd = [f"{at}/{field}" for field in fields]
        return _unexpected(odd, where, _properties(schema, error.instance_path))
    if name == "required":
        return f"required properties at '{where}' are '{details.get('property')}'. Add it"
    if name == "type":
        wanted = details.get("types") or details.get("type")
        names = "','".join([wanted] if isinstance(wanted, str) else [str(w) for w in wanted or []])
        return f"Type mismatch of '{where}', '{_kind(value)}' not in '{names}'. Send {names}"
    if name in {"anyOf", "oneOf", "oneOfNotValid", "oneOfMultipleValid"}:
        return _alternatives(error, where, value, schema)
    if name == "enum":
        options = details.get("options", [])
        listed = ",".join(str(option) for option in options)
        return f"enum {_short(value)} not in {listed} at '{where}'. Send one of them"
    return f"{name} at '{where}' not met: {_limit(name, details, value)}"


def _unexpected(odd: list[str], where: str, known: list[str]) -> str:
    return (
        f"Additional or unevaluated properties '{_short(','.join(odd[:9]))}' at '{where}' not"
        f" allowed. Leave it out; the fields are: {', '.join(known)}"
    )


def _most(schema: Mapping[str, Any]) -> int | None:
    """maxItems of a property, or of the one form of it that is a list."""
    forms = [schema, *schema.get("anyOf", []), *schema.get("oneOf", [])]
    return next((form["maxItems"] for form in forms if "maxItems" in form), None)


def _limit(name: str, details: Mapping[str, Any], value: Any) -> str:
    limit = details.get("limit")
    sizes = {
        "minItems": ("at least", "items"),
        "maxItems": ("at most", "items"),
        "minLength": ("at least", "characters"),
        "maxLength": ("at most", "characters"),
        "minProperties": ("at least", "fields"),
    }
    if name in sizes:
        bound, unit = sizes[name]
        return f"it has {len(value)} {unit}. Send {bound} {limit}"
    bounds = {
        "minimum": "at least",
        "maximum": "at most",
        "exclusiveMinimum": "more than",
        "exclusiveMaximum": "less than",
    }
    if name in bounds:
        return f"it is {_short(value)}. Send {bounds[name]} {limit}"
    return f"{_short(value)}. See the model's schema"


def _alternatives(
    error: jsonschema_rs.ValidationError, where: str, value: Any, schema: Mapping[str, Any]
) -> str:
    """Why none (or more than one) of several forms fits."""
    context: Sequence[Sequence[Any]] = error.kind.as_dict().get("context", [])
    branches = [[sub for sub in branch if sub.kind.name] for branch in context]
    if not any(branches):
        fields = [name for form in schema.get("oneOf", []) for name in form.get("required", [])]
        both = " and ".join(name for name in fields if name in value) or "several forms"
        return f"oneOf at '{where}' not met, it has {both}. Send only one of them"
    deeper = [
        sub
        for branch in branches
        for sub in branch
        if sub.kind.name != "type" or len(sub.instance_path) > len(error.instance_path)
    ]
    same = [sub for sub in deeper if sub.kind.name != "required"]
    if same:
        return _say(same[0], {})
    missing = [
        f"required properties at '{where}' are '{sub.kind.as_dict().get('property')}'"
        for sub in deeper
    ]
    if missing:
        return f"oneOf at '{where}' not met, 0 matches: {', '.join(missing)}. Add one of them"
    wanted: list[str] = []
    for branch in branches:
        for sub in branch:
            details = sub.kind.as_dict()
            kinds = details.get("types") or details.get("type") or []
            wanted += [kinds] if isinstance(kinds, str) else [str(kind) for kind in kinds]
    names = "','".join(dict.fromkeys(wanted))
    return f"Type mismatch of '{where}', '{_kind(value)}' not in '{names}'"


def _properties(schema: Mapping[str, Any], path: Sequence[str | int]) -> list[str]:
    node: Any = schema
    for part in path:
        node = node.get("items") if isinstance(part, int) else node.get("properties", {}).get(part)
        if not isinstance(node, dict):
            return []
    return list(node.get("properties", {}))


def _kind(value: Any) -> str:
    return _NAMES.get(type(value), type(value).__name__)


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _not_finite(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def _foreign(value: Any) -> bool:
    return not isinstance(value, dict | list | str | int | float | None)


def _surrogate(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return True
    return False


def _where(value: Any, test: Any, path: str = "", depth: int = 0) -> str:
    """The path of the first value that passes the test, as '/a/0'; "" if none does."""
    if test(value):
        return f"'{path or '/'}'"
    if depth > 32:
        return ""
    parts: Any = ()
    if isinstance(value, dict):
        parts = value.items()
        if any(test(key) for key in value):
            return f"a field name at '{path or '/'}'"
    elif isinstance(value, list):
        parts = enumerate(value)
    for key, part in parts:
        found = _where(part, test, f"{path}/{key}", depth + 1)
        if found:
            return found
    return ""

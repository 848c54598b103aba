"""CTranslate2: Whisper through faster-whisper, and sequence-to-sequence translation.

The model's directory is a CTranslate2 model (model.bin, config.json, vocabulary). Options
(`engine_options.ctranslate2`):

    compute_type   "int8" (default), "int8_bfloat16", "float32" …
    sentencepiece  for translation: the tokenizer's file; default sentencepiece.model
    language_form  how a language is named as a token; default "__{}__" (m2m100)
"""

from __future__ import annotations

import importlib.util
import os
from typing import Any, ClassVar

import msgspec

from skerry.engines.base import CallEngine, Choice, Sink
from skerry.errors import EngineError, EngineMissing, InvalidInput
from skerry.tasks.base import (
    Call,
    ModelFiles,
    Outcome,
    Segment,
    Transcribe,
    Transcribed,
    Translate,
    Translated,
    Word,
)


class CTranslate2(CallEngine):
    """See the module's text."""

    name = "ctranslate2"
    distributions: ClassVar[tuple[str, ...]] = ("ctranslate2", "faster-whisper")
    precisions: ClassVar[tuple[str, ...]] = ("int8",)

    @classmethod
    def missing(cls) -> str | None:
        for package in ("ctranslate2", "faster_whisper"):
            if importlib.util.find_spec(package) is None:
                return "pip install 'skerry[speech]'"
        return None

    @classmethod
    def load(cls, files: ModelFiles, choice: Choice) -> CTranslate2:
        if not files.path("model.bin").is_file():
            raise EngineError(f"{files.name}: model.bin is not in {files.directory}")
        streams = max(1, choice.streams)
        threads = max(1, (choice.threads or len(os.sched_getaffinity(0))) // streams)
        settings = {
            "device": "cpu",
            "compute_type": str(choice.options.get("compute_type", "int8")),
        }
        whisper = translator = pieces = None
        try:
            if files.task == "automatic-speech-recognition":
                from faster_whisper import WhisperModel

                whisper = WhisperModel(
                    str(files.directory),
                    cpu_threads=threads,
                    num_workers=streams,
                    local_files_only=True,
                    **settings,
                )
            else:
                import ctranslate2

                pieces = _sentencepiece(files, choice)
                translator = ctranslate2.Translator(
                    str(files.directory), inter_threads=streams, intra_threads=threads, **settings
                )
        except (RuntimeError, ValueError, OSError) as error:
            raise EngineError(f"{files.name}: CTranslate2 cannot load it: {error}") from error
        form = str(choice.options.get("language_form", "__{}__"))
        known = _vocabulary(files) if translator is not None else frozenset()
        return cls(files.name, whisper, translator, pieces, form, streams, known)

    def __init__(
        self,
        model: str,
        whisper: Any,
        translator: Any,
        pieces: Any,
        language_form: str,
        streams: int,
        vocabulary: frozenset[str] = frozenset(),
    ) -> None:
        self._model = model
        self._whisper = whisper
        self._translator = translator
        self._pieces = pieces
        self._form = language_form
        self._known = vocabulary
        self.capacity = streams

    def serves(self, call: Call) -> bool:
        if isinstance(call, Transcribe):
            return self._whisper is not None
        return isinstance(call, Translate) and self._translator is not None

    def run(self, call: Call, sink: Sink) -> Outcome:
        """Raises InvalidInput for a language that the model has not."""
        if isinstance(call, Transcribe) and self._whisper is not None:
            return self._transcribe(call, sink)
        if isinstance(call, Translate) and self._translator is not None:
            return self._translate(call, sink)
        raise EngineError(f"{self._model} does not serve {type(call).__name__}.")

    def close(self) -> None:
        self._whisper = self._translator = None

    def _transcribe(self, call: Transcribe, sink: Sink) -> Transcribed:
        self._check_language(call)
        try:
            found, info = self._whisper.transcribe(
                call.samples,
                language=call.language,
                task="translate" if call.translate else "transcribe",
                beam_size=call.beam_size,
                initial_prompt=call.initial_prompt,
                prefix=call.prefix,
                vad_filter=call.vad_filter,
                word_timestamps=True,
            )
            segments: list[Segment] = []
            for each in found:  # decoded as it is asked for: a cancelled call stops here
                segments.append(_segment(each))
                sink.emit(each.text)
                if sink.cancelled:
                    break
        except (RuntimeError, ValueError) as error:
            raise EngineError(f"{self._model}: CTranslate2 failed: {error}") from error
        return Transcribed(
            segments=segments,
            language=info.language,
            language_probability=float(info.language_probability),
            duration=float(info.duration),
        )

    def _check_language(self, call: Transcribe) -> None:
        known = self._whisper.supported_languages
        if call.language is not None and call.language not in known:
            raise InvalidInput(
                f"{self._model} does not know the language {call.language!r};"
                f" it knows: {', '.join(sorted(known))}."
            )
        if call.translate and not self._whisper.model.is_multilingual:
            raise InvalidInput(f"{self._model} hears English only: it cannot translate.")

    def _translate(self, call: Translate, sink: Sink) -> Translated:
        """Line by line: the models are of sentences, and a cancelled call stops between lines."""
        source, target = self._language(call.source), self._language(call.target)
        lines: list[str] = []
        read = made = 0
        for line in call.text.splitlines():
            if sink.cancelled or made >= call.max_tokens:
                break
            tokens = [source, *self._pieces.encode(line, out_type=str), "</s>"]
            out = self._line(tokens, target, call.max_tokens - made) if line.strip() else []
            read += len(tokens) if line.strip() else 0
            made += len(out)
            lines.append(self._pieces.decode(out))
            sink.emit(lines[-1])
        return Translated(text="\n".join(lines), prompt_tokens=read, completion_tokens=made)

    def _line(self, tokens: list[str], target: str, most: int) -> list[str]:
        try:
            results = self._translator.translate_batch(
                # The length counts the language's token, which is no part of the answer.
                [tokens],
                target_prefix=[[target]],
                max_decoding_length=most + 1,
                beam_size=4,
            )
        except (RuntimeError, ValueError) as error:
            raise EngineError(f"{self._model}: CTranslate2 failed: {error}") from error
        made: list[str] = results[0].hypotheses[0][1:]
        return made

    def _language(self, code: str) -> str:
        """The language's token. Raises InvalidInput where the model has none."""
        token = self._form.format(code)
        if self._known and token not in self._known:
            raise InvalidInput(f"{self._model} does not know the language {code!r}.")
        return token


def _sentencepiece(files: ModelFiles, choice: Choice) -> Any:
    if importlib.util.find_spec("sentencepiece") is None:
        raise EngineMissing(f"{files.name} needs sentencepiece: pip install 'skerry[speech]'")
    import sentencepiece

    path = files.path(str(choice.options.get("sentencepiece", "sentencepiece.model")))
    if not path.is_file():
        raise EngineError(f"{files.name}: {path.name} is not in {files.directory}")
    return sentencepiece.SentencePieceProcessor(model_file=str(path))


def _vocabulary(files: ModelFiles) -> frozenset[str]:
    """The tokens that an answer may have; empty where the model keeps them in no JSON file."""
    for name in ("shared_vocabulary.json", "target_vocabulary.json"):
        if files.path(name).is_file():
            return frozenset(msgspec.json.decode(files.path(name).read_bytes(), type=list[str]))
    return frozenset()


def _segment(each: Any) -> Segment:
    words = [
        Word(word=word.word, start=float(word.start), end=float(word.end))
        for word in each.words or ()
    ]
    return Segment(
        text=each.text,
        start=float(each.start),
        end=float(each.end),
        words=words,
        temperature=float(each.temperature or 0.0),
        avg_logprob=float(each.avg_logprob),
        compression_ratio=float(each.compression_ratio),
        no_speech_prob=float(each.no_speech_prob),
    )

"""POST completions: raw text goes on, without a chat template."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
from aiohttp import web

from skerry.api.answers import dump, headers_of, reply
from skerry.api.errors import openai_form
from skerry.api.openai.base import (
    CHAT,
    MAX_CHOICES,
    OpenAIBase,
    StreamOptions,
    count,
    given,
    now,
    refuse_field,
    refused,
)
from skerry.api.openai.chat import several
from skerry.api.openai.generation import End, Sampling, deltas, generated, stops, together, total
from skerry.api.sse import DONE, data, send
from skerry.errors import AiError, InvalidInput
from skerry.types import AnswerStream, Usage, new_id


class CompletionBody(Sampling, kw_only=True):
    """The body of completions. Other fields that clients send are let pass unread."""

    model: str
    prompt: str | list[str | int | list[int]]
    max_tokens: int | None = None
    stop: str | list[str] | None = None
    n: int | None = None
    best_of: int | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    echo: bool | None = None
    suffix: str | None = None
    logprobs: int | None = None
    logit_bias: dict[str, float] | None = None

    def prompts(self) -> list[str]:
        """The prompts. Raises InvalidInput for arrays of tokens and for too many."""
        if isinstance(self.prompt, str):
            return [self.prompt]
        texts = [each for each in self.prompt if isinstance(each, str)]
        if len(texts) != len(self.prompt):
            raise InvalidInput("prompt: arrays of tokens are not taken; send the text")
        if not 1 <= len(texts) * count("n", self.n) <= MAX_CHOICES:
            raise InvalidInput(
                f"prompt: {len(texts)} prompts for n = {count('n', self.n)};"
                f" send 1 to {MAX_CHOICES} in all"
            )
        return texts

    def task_inputs(self) -> dict[str, Any]:
        """The input of text-generation but its prompt. Raises InvalidInput."""
        refuse_field("echo", self.echo, "the prompt is not repeated in the answer")
        refuse_field("suffix", self.suffix or None, "no model here fills a gap in a text")
        refuse_field("best_of", None if self.best_of == 1 else self.best_of, "use `n`")
        refuse_field("logit_bias", self.logit_bias or None, "not served")
        if self.logprobs is not None:
            raise InvalidInput("logprobs: no model here tells log probabilities; leave it out")
        return self.inputs() | given(
            raw=True,
            max_tokens=self.max_tokens,
            stop=stops(self.stop),
            stream=True if self.stream else None,
        )


class Completions(OpenAIBase):
    """Legacy completions."""

    _decoder = msgspec.json.Decoder(CompletionBody)

    async def create(self, request: web.Request) -> web.StreamResponse:
        """`n` answers for each prompt, whole or as chunks."""
        body, size = await self.body(request, self._decoder)
        entry = self.entry(body.model, CHAT, size)
        inputs = body.task_inputs()
        prompts, number = body.prompts(), count("n", body.n)
        ask = self.face.inference(
            request, entry.name, inputs | {"prompt": prompts[0]}, stream=bool(body.stream)
        )
        asks = several(ask, number)
        for prompt in prompts[1:]:
            other = msgspec.structs.replace(ask, inputs=inputs | {"prompt": prompt}, id=new_id())
            asks += several(other, number)
        try:
            answers = await self.start_all(asks)
        except AiError as error:
            return refused(error, ask.id)
        head = {
            "id": f"cmpl-{ask.id}",
            "object": "text_completion",
            "created": now(),
            "model": answers[0].model,
        }
        streams = [each for each in answers if isinstance(each, AnswerStream)]
        if not streams:
            usage = total([a.usage for a in answers[::number]], same_prompt=False)
            made = total([a.usage for a in answers], same_prompt=True)
            counts = Usage(usage.prompt_tokens, made.completion_tokens)
            replies = [generated(answer, ask.id) for answer in answers]
            choices = [_choice(at, r.text, r.finish_reason) for at, r in enumerate(replies)]
            whole = head | {"choices": choices, "usage": counts.json()}
            return reply(dump(whole), headers_of(answers[0], ask.id))
        include = body.stream_options is not None and bool(body.stream_options.include_usage)
        texts = [deltas(each.pieces, ask.id) for each in streams]
        return await send(
            request,
            _chunks(texts, head, include, number),
            [each.pieces for each in streams],
            headers_of(streams[0], ask.id),
            openai_form,
            ask.timeout or self.face.settings.timeout,
        )


def _choice(index: int, text: str, reason: str | None) -> dict[str, Any]:
    return {"index": index, "text": text, "logprobs": None, "finish_reason": reason}


async def _chunks(
    streams: list[AsyncIterator[str | End]],
    head: dict[str, Any],
    include_usage: bool,
    number: int,
) -> AsyncIterator[bytes]:
    """text_completion events: the text, the reason, the usage."""
    extra = {"usage": None} if include_usage else {}
    usages: dict[int, Usage] = {}
    async for index, item in together(streams):
        if isinstance(item, str):
            yield data(head | {"choices": [_choice(index, item, None)]} | extra)
            continue
        usages[index] = item.usage
        end = _choice(index, item.reply.text, item.reply.finish_reason)
        yield data(head | {"choices": [end]} | extra)
    if include_usage:
        prompt = sum(usages[at].prompt_tokens for at in range(0, len(streams), number))
        made = sum(usage.completion_tokens for usage in usages.values())
        yield data(head | {"choices": [], "usage": Usage(prompt, made).json()})
    yield DONE

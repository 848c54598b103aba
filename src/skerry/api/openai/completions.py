"""POST completions: raw text goes on, without a chat template."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
from aiohttp import web

from skerry.api.endpoint import CHAT, Texts, given, refuse_field
from skerry.api.generated import generated, together, total
from skerry.api.openai.base import (
    MAX_CHOICES,
    OpenAIEndpoint,
    StreamOptions,
    count,
    now,
    several,
)
from skerry.api.openai.generation import Sampling, stops
from skerry.api.sse import DONE, data
from skerry.errors import InvalidInput
from skerry.types import Answer, Usage, new_id


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


class Completions(OpenAIEndpoint):
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
        head = {"id": f"cmpl-{ask.id}", "object": "text_completion", "created": now()}
        include = body.stream_options is not None and bool(body.stream_options.include_usage)
        return await self.answer(
            request,
            asks,
            lambda answers: head | _whole(answers, ask.id, number),
            lambda streams, model: _chunks(streams, head | {"model": model}, include, number),
        )


def _whole(answers: list[Answer], req_id: str, number: int) -> dict[str, Any]:
    """What a text_completion says, from `number` answers to each prompt."""
    prompts = total([answer.usage for answer in answers[::number]], same_prompt=False)
    made = total([answer.usage for answer in answers], same_prompt=True)
    replies = [generated(answer, req_id) for answer in answers]
    return {
        "model": answers[0].model,
        "choices": [_choice(at, r.text, r.finish_reason) for at, r in enumerate(replies)],
        "usage": Usage(prompts.prompt_tokens, made.completion_tokens).json(),
    }


def _choice(index: int, text: str, reason: str | None) -> dict[str, Any]:
    return {"index": index, "text": text, "logprobs": None, "finish_reason": reason}


async def _chunks(
    streams: Texts, head: dict[str, Any], include_usage: bool, number: int
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

"""What one writes first: aiohttp, onnxruntime fp32, one request at a time in a thread."""

from __future__ import annotations

import asyncio
import sys

import numpy as np
import onnxruntime as ort
from aiohttp import web
from tokenizers import Tokenizer

from skerry.catalog.catalog import Catalog
from skerry.catalog.open import open_store
from skerry.settings import load


def main(model: str) -> None:
    files = open_store(load()).ready(Catalog().get(model))
    assert files is not None
    tokenizer = Tokenizer.from_file(str(files.path("tokenizer.json")))
    tokenizer.no_padding()
    session = ort.InferenceSession(
        str(files.path("model.onnx")), providers=["CPUExecutionProvider"]
    )
    names = {port.name for port in session.get_inputs()}

    def embed(text: str) -> list[list[float]]:
        encoding = tokenizer.encode(text)
        feeds = {
            "input_ids": np.array([encoding.ids], np.int64),
            "attention_mask": np.array([encoding.attention_mask], np.int64),
            "token_type_ids": np.array([encoding.type_ids], np.int64),
        }
        out = session.run(None, {name: feeds[name] for name in names})[0]
        if out.ndim == 3:
            out = out.mean(axis=1)
            out /= np.linalg.norm(out, axis=1, keepdims=True)
        vectors: list[list[float]] = out.tolist()
        return vectors

    turn = asyncio.Lock()

    async def handle(request: web.Request) -> web.Response:
        body = await request.json()
        async with turn:
            data = await asyncio.to_thread(embed, body["text"])
        return web.json_response({"result": {"shape": [1, len(data[0])], "data": data}})

    async def run() -> None:
        app = web.Application()
        app.router.add_post("/", handle)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        print(f'{{"port": {runner.addresses[0][1]}}}', flush=True)
        await asyncio.Event().wait()

    asyncio.run(run())


if __name__ == "__main__":
    main(sys.argv[1])

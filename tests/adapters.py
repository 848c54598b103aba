"""A LoRA adapter made for a test: small random weights in the shapes of a GGUF model's tensors."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np


def write_adapter(model: Path, path: Path, *, seed: int = 0, scale: float = 0.3) -> None:
    """An adapter of rank 4 on every layer's value projection and output projection of `model`."""
    reader = gguf.GGUFReader(model)
    architecture = str(reader.fields["general.architecture"].contents())
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, 4.0)
    random = np.random.default_rng(seed)
    for tensor in reader.tensors:
        if tensor.name.endswith(("attn_v.weight", "attn_output.weight")):
            into, out = (int(each) for each in tensor.shape)  # ggml: [inputs, outputs]
            down = random.normal(0, scale, (4, into)).astype(np.float32)
            up = random.normal(0, scale, (out, 4)).astype(np.float32)
            writer.add_tensor(f"{tensor.name}.lora_a", down)
            writer.add_tensor(f"{tensor.name}.lora_b", up)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()

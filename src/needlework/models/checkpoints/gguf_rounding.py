"""A GGUF file with its weights rounded to another type: the same model, in fewer bits.

Matrices are rounded, by the gguf library; vectors and all else stay as they are. The same file
gives the same bytes.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from needlework import files
from needlework.door import strangers, told
from needlework.errors import CheckpointError
from needlework.gguf_header import Header, Weight, is_gguf, read_header
from needlework.models.checkpoints.gguf_tensors import dequantised

if TYPE_CHECKING:
    from gguf import GGMLQuantizationType, GGUFWriter

Numbers = np.ndarray[Any, Any]
FILE_TYPES = {"F32": 0, "F16": 1, "BF16": 32, "Q4_0": 2, "Q4_1": 3}
FILE_TYPES |= {"Q5_0": 8, "Q5_1": 9, "Q8_0": 7}
"""What to round to, and what llama.cpp calls a file of it; F32 writes rounded weights out."""


def round_weights(source: Path, output: Path, kind: str) -> None:
    """Write `source` to `output` with every matrix rounded to `kind`, one of FILE_TYPES.

    Raises:
        CheckpointError: the source is no GGUF file that can be read, or its rows do not fill the
            blocks of the type.
    """
    from gguf import GGUFWriter

    if not is_gguf(source):
        raise CheckpointError(f"{source} is no GGUF file; convert the model with llama.cpp first")
    header = read_header(source)
    with files.atomic(output) as temporary:
        writer = GGUFWriter(temporary, header.architecture)
        _copy_settings(source, writer, FILE_TYPES[kind])
        for weight, numbers in _numbers(header):
            rounded, stored_as = _rounded(source, weight, numbers, kind)
            writer.add_tensor(weight.name, rounded, raw_dtype=stored_as)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()


def _copy_settings(source: Path, writer: "GGUFWriter", file_type: int) -> None:
    """Everything that the file says, with the types in which it says it."""
    from gguf import GGUFReader

    with strangers(lambda cause: CheckpointError(f"{source} cannot be read again ({told(cause)})")):
        fields = GGUFReader(source).fields.values()
    for field in fields:
        if field.name.startswith("GGUF.") or field.name == "general.architecture":
            continue
        value = file_type if field.name == "general.file_type" else field.contents()
        inner = field.types[-1] if len(field.types) > 1 else None
        writer.add_key_value(field.name, value, field.types[0], sub_type=inner)


def _numbers(header: Header) -> Iterator[tuple[Weight, Numbers]]:
    """Every tensor as float32 numbers."""
    values = np.memmap(header.path, mode="r", dtype=np.uint8)
    for weight in header.weights:
        part = values[weight.start : weight.start + weight.size]
        made = dequantised(part, weight.shape, weight.kind, where=str(header.path))
        yield weight, made.numpy()


def _rounded(
    source: Path, weight: Weight, numbers: Numbers, kind: str
) -> tuple[Numbers, "GGMLQuantizationType"]:
    """A tensor as it is written, and its type."""
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, quantize

    if len(weight.shape) == 1:
        return numbers, GGMLQuantizationType.F32
    wanted = GGMLQuantizationType[kind]
    block, _ = GGML_QUANT_SIZES[wanted]
    if weight.shape[-1] % block:
        raise CheckpointError(
            f"{source}: rows of {weight.name} have {weight.shape[-1]} numbers, and {kind} rounds "
            f"them in blocks of {block}; choose F16 or BF16"
        )
    return quantize(numbers, wanted), wanted

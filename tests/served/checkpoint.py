"""A tiny checkpoint for real servers: `python -m tests.served.checkpoint FOLDER`.

nano-llama as transformers reads it. Its tokenizer puts the begin token before every prompt, as
those of published models do, for servers ask nobody else.
"""

import json
import sys
from pathlib import Path

from benchmarks.export import BEGIN, export

NANO = Path(__file__).parents[2] / "resources/nano"


def write(folder: Path) -> Path:
    """The folder, with the checkpoint in it."""
    folder.mkdir(parents=True, exist_ok=True)
    export(NANO / "llama", NANO / "tokenizer", folder)
    path = folder / "tokenizer.json"
    tokenizer = json.loads(path.read_text(encoding="utf-8"))
    begin = [
        {"SpecialToken": {"id": "<bos>", "type_id": 0}},
        {"Sequence": {"id": "A", "type_id": 0}},
    ]
    tokenizer["post_processor"] = {
        "type": "TemplateProcessing",
        "single": begin,
        "pair": [*begin, {"Sequence": {"id": "B", "type_id": 0}}],
        "special_tokens": {"<bos>": {"id": "<bos>", "ids": [BEGIN], "tokens": ["<bos>"]}},
    }
    path.write_text(json.dumps(tokenizer), encoding="utf-8")
    return folder


if __name__ == "__main__":
    write(Path(sys.argv[1]))

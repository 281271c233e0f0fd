"""NVIDIA/RULER's own generators run beside ours; writes tests/golden/ruler_agreement.csv.

    git clone https://github.com/NVIDIA/RULER && git -C RULER checkout c3f5e3b
    NEEDLEWORK_SHARED=... .venv/bin/python -m tests.compare_with_ruler RULER

What they wrote is kept in RULER/out and not made again. The file holds counts and digests of
forms (`prompt_forms_for_tests`), never a text of RULER's; `tests/golden/test_ruler_agreement.py`
makes our side of it again.
"""

import csv
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from needlework.tasks import ruler
from needlework.tasks.released import prompts
from tests.prompt_forms_for_tests import Form, form, merged
from tests.tasks_for_tests import ENGLISH, ROOT, english_tokenizer

COMMIT = "c3f5e3b4f87f97e048793bb510a3a6b19a46bf3a"
AGREEMENT = ROOT / "tests/golden/ruler_agreement.csv"
SAMPLES, SEED = 20, 42
TOKENIZER = "gpt-neox-20b"
ASKED = {
    4096: (
        *("niah_single_1", "niah_single_2", "niah_single_3"),
        *("niah_multikey_1", "niah_multikey_2", "niah_multikey_3"),
        *("niah_multivalue", "niah_multiquery", "vt", "cwe", "fwe", "qa_1", "qa_2"),
    ),
    2048: ("niah_single_1", "vt", "cwe", "fwe"),
}
"""Every task; once more below 4096 tokens, where lists and steps are others. At 1024 tokens RULER's
qa_2 does not end."""
_QUESTIONS = {"qa_1": "squad.json", "qa_2": "hotpotqa.json"}


@dataclass(frozen=True)
class Agreement:
    """What a dataset must have in common with RULER's, in counts and digests."""

    commit: str
    task: str
    length: int
    samples: int
    tokens_to_generate: int
    """What a recorded length has beyond the tokens of the prompt, answer prefix included."""
    longer: int
    """Samples whose recorded length exceeds the length asked for."""
    template: str
    example: str
    needles: str
    seams: str


def agreement(
    task: str, length: int, texts: Sequence[str], lengths: Sequence[int], shared: Path
) -> Agreement:
    """The line of a dataset: its prompts, and the lengths its generator recorded."""
    mirror = shared / "mirror"
    source = prompts.read(mirror / "ruler/prompts.json")
    tokenizer = english_tokenizer(mirror / "tokenizers" / TOKENIZER)
    found = merged(
        [form(text, ENGLISH[task], ruler.wording(source), source.noise) for text in texts]
    )
    (beyond,) = {
        recorded - len(tokenizer.encode(text))
        for text, recorded in zip(texts, lengths, strict=True)
    }
    over = sum(recorded > length for recorded in lengths)
    return Agreement(COMMIT, task, length, len(texts), beyond, over, *_digests(found))


def _digests(found: Form) -> tuple[str, str, str, str]:
    """Of template, example, needles and what stands between them."""
    parts = (
        [found.head, found.ending],
        [found.opening],
        sorted(found.needles),
        sorted(found.seams),
    )
    template, example, needles, seams = (
        hashlib.sha256(json.dumps(part).encode()).hexdigest() for part in parts
    )
    return template, example, needles, seams


def read(path: Path = AGREEMENT) -> list[Agreement]:
    """The committed lines."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    numbers = ("length", "samples", "tokens_to_generate", "longer")
    return [Agreement(**(row | {name: int(row[name]) for name in numbers})) for row in rows]


def prepare(checkout: Path, shared: Path) -> None:
    """Put essays, made-up questions, a tokenizer and Punkt where RULER looks for them."""
    head = subprocess.run(
        ["git", "-C", str(checkout), "rev-parse", "HEAD"], capture_output=True, text=True
    ).stdout.strip()
    if head != COMMIT:
        sys.exit(f"{checkout} is at {head or 'no commit'}; check out {COMMIT}")
    data = checkout / "scripts/data/synthetic/json"
    shutil.copyfile(shared / "mirror/essays/PaulGrahamEssays.json", data / "PaulGrahamEssays.json")
    for name in _QUESTIONS.values():
        shutil.copyfile(shared / "golden/qa" / name, data / name)
    # Words for lists of more than 8,169; none is that long here.
    (data / "english_words.json").write_text('{"0": "unused"}', encoding="utf-8")
    folder = checkout / "out/tokenizer"
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = shared / "mirror/tokenizers" / TOKENIZER / "tokenizer.json"
    shutil.copyfile(tokenizer, folder / "tokenizer.json")
    sidecar = json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"})
    (folder / "tokenizer_config.json").write_text(sidecar, encoding="utf-8")
    punkt = checkout / "out/nltk/tokenizers/punkt_tab"
    shutil.copytree(shared / "mirror/nltk/punkt_tab", punkt, dirs_exist_ok=True)


def run(checkout: Path, task: str, length: int) -> Path:
    """The file that RULER's own generator writes, with the arguments its `prepare.py` gives it."""
    made = checkout / f"out/{length}/{task}/validation.jsonl"
    if made.is_file():
        return made
    data = checkout / "scripts/data"
    sys.path.insert(0, str(data / "synthetic"))
    from constants import TASKS  # type: ignore[import-not-found]

    config = yaml.safe_load((checkout / "scripts/synthetic.yaml").read_text())[task]
    texts: dict[str, Any] = TASKS[config["task"]]
    options = {
        "save_dir": checkout / f"out/{length}",
        "save_name": task,
        "tokenizer_path": checkout / "out/tokenizer",
        "tokenizer_type": "hf",
        "max_seq_length": length,
        "tokens_to_generate": texts["tokens_to_generate"],
        "num_samples": SAMPLES,
        "random_seed": SEED,
        "template": texts["template"] + texts["answer_prefix"],
    } | config["args"]
    words = [word for key, value in options.items() for word in (f"--{key}", str(value))]
    subprocess.run(
        [sys.executable, str(data / f"synthetic/{config['task']}.py"), *words],
        check=True,
        env=os.environ | {"NLTK_DATA": str(checkout / "out/nltk"), "HF_HUB_OFFLINE": "1"},
    )
    return made


def main(checkout: Path) -> None:
    """Run every generator and write what must agree."""
    shared = Path(os.environ["NEEDLEWORK_SHARED"])
    prepare(checkout, shared)
    lines = []
    for length, tasks in ASKED.items():
        for task in tasks:
            file = run(checkout, task, length)
            rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
            texts = [row["input"] + row["answer_prefix"] for row in rows]
            recorded = [row["length"] for row in rows]
            lines.append(agreement(task, length, texts, recorded, shared))
    with AGREEMENT.open("w", encoding="utf-8", newline="") as output:
        writer = csv.DictWriter(output, list(asdict(lines[0])), lineterminator="\n")
        writer.writeheader()
        writer.writerows(map(asdict, lines))


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())

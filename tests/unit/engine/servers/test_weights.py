"""What a server wrote beside what its weights write here."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from needlework import tokenizers
from needlework.engine.servers import comparison, weights
from needlework.errors import CheckpointError
from needlework.models import load
from needlework.models.decoder import Decoder
from needlework.parsing import parse, read
from needlework.study.served import Server
from needlework.study.served_records import Facts, Repeats, Served, ServedVerification, Trial
from tests.asking_for_tests import echoing
from tests.servers_for_tests import serving
from tests.study_for_tests import small_plan

ROOT = Path(__file__).parents[4]
NANO = str(ROOT / "resources/nano/llama")
TOKENIZER = str(ROOT / "resources/nano/tokenizer")
PROMPTS = ((1, 3, 4, 5), (1, 8, 9, 3, 4, 5), (1, 44, 45, 46))


@pytest.fixture
def real_tokenizer(monkeypatch: pytest.MonkeyPatch) -> tokenizers.Tokenizer:
    """That of the nano models, in place of the one of numbers."""
    monkeypatch.undo()
    return tokenizers.load(TOKENIZER)


def greedy(decoder: Decoder, prompt: tuple[int, ...], end: frozenset[int]) -> list[int]:
    """What a decoder writes after a prompt, read anew for every token."""
    tokens: list[int] = []
    while len(tokens) < weights.TRIAL_TOKENS:
        so_far = torch.tensor([*prompt, *tokens])
        with torch.inference_mode():
            logits_PV = decoder.logits_at(so_far, torch.tensor([len(so_far) - 1]))
        token = int(logits_PV[0, : decoder.config.vocabulary].argmax())
        if token in end:
            break
        tokens.append(token)
    return tokens


def served(tokenizer: tokenizers.Tokenizer, **changed: Any) -> Served:
    """What a server said that serves nano-llama rightly."""
    decoder = load(NANO)
    trials = []
    for prompt in PROMPTS:
        tokens = greedy(decoder, prompt, tokenizer.end)
        # Some servers drop the blank before the first word, some do not.
        trials.append(Trial(tokens=prompt, text=f" {tokenizer.decode(tokens)}"))
    values = {
        "model": "m",
        "endpoint": "http://h/v1",
        "facts": Facts(software="vllm 0.11.0", model="m", longest=None),
        "fingerprint": None,
        "reads": "token ids",
        "counts": True,
        "sent": "temperature 0",
        "repeats": Repeats(asked=8, different=1),
        "trials": tuple(trials),
    }
    return Served.model_validate(values | changed)


def verify(folder: Path, known: Served, checkpoint: str = NANO) -> ServedVerification:
    path = folder / "served.json"
    path.write_text(known.model_dump_json(), encoding="utf-8")
    output = folder / "m.json"
    weights.verify(
        output,
        path,
        server=Server(checkpoint=checkpoint, endpoint="http://h/v1"),
        tokenizer=TOKENIZER,
        tokenizer_revision=None,
        dtype="float32",
    )
    return parse(ServedVerification, read(output), where="m.json")


def test_answers_of_the_weights_pass(tmp_path: Path, real_tokenizer: tokenizers.Tokenizer) -> None:
    found = verify(tmp_path, served(real_tokenizer))
    assert (found.reference, found.reason, found.prompts, found.ties) == ("our decoder", None, 3, 0)
    assert "12 % of 8 samples asked twice" in found.told()


def test_answers_of_other_weights_do_not(
    tmp_path: Path, real_tokenizer: tokenizers.Tokenizer
) -> None:
    """A server that has loaded another checkpoint under the same name."""
    known = served(real_tokenizer)
    first, *others = known.trials
    wrong = first.model_copy(update={"text": "the garden the garden"})
    with pytest.raises(CheckpointError, match="is not served as") as error:
        verify(tmp_path, known.model_copy(update={"trials": (wrong, *others)}))
    assert "check what the server has loaded" in str(error.value)
    assert not (tmp_path / "m.json").exists()


def test_answers_may_part_at_a_tie(
    tmp_path: Path, real_tokenizer: tokenizers.Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = served(real_tokenizer)
    first, *others = known.trials
    parted = first.model_copy(update={"text": f"{first.text.rpartition(' ')[0]} garden"})
    known = known.model_copy(update={"trials": (parted, *others)})
    with pytest.raises(CheckpointError):
        verify(tmp_path, known)
    monkeypatch.setattr(comparison, "TOLERANCES", {("float32", "cpu"): 1.0})
    assert verify(tmp_path, known).ties == 1


def second(decoder: Decoder, prompt: tuple[int, ...]) -> tuple[int, float]:
    """The second best token after a prompt, and how far it is below the best."""
    with torch.inference_mode():
        logits_PV = decoder.logits_at(torch.tensor(prompt), torch.tensor([len(prompt) - 1]))
    best = torch.topk(logits_PV[0, : decoder.config.vocabulary], 2)
    below = (best.values[0] - best.values[1]) / logits_PV[0].abs().max()
    return int(best.indices[1]), float(below)


def test_an_answer_is_compared_behind_a_tie(real_tokenizer: tokenizers.Tokenizer) -> None:
    """Two best tokens that are close once excused whatever came after the second one."""
    decoder = load(NANO)
    prompts = [(1, word) for word in range(3, 60)]
    prompt = min(prompts, key=lambda prompt: second(decoder, prompt)[1])
    token, below = second(decoder, prompt)
    assert below < 0.05
    rest = greedy(decoder, (*prompt, token), real_tokenizer.end)[: weights.TRIAL_TOKENS - 1]
    decode, near = real_tokenizer.decode, below * 1.01

    def found(tokens: list[int]) -> comparison.Followed:
        return comparison.follow(
            decoder, prompt, decode(tokens), real_tokenizer, limit=len(tokens), tolerance=near
        )

    right = found([token, *rest])
    assert right.whole
    assert right.tokens == (token, *rest)
    assert right.below == pytest.approx((below, *[0.0] * len(rest)), abs=1e-6)
    (wrong,) = real_tokenizer.encode_batch(["garden"])[0]
    broken = found([token, *rest[:4], wrong, *rest[5:]])
    assert not broken.whole
    assert broken.tokens == (token, *rest[:4])
    assert broken.best == rest[4]


@pytest.mark.parametrize(
    ("changed", "checkpoint", "reason"),
    [
        ({}, "me/large-70b", "a server answers, and its weights are not here"),
        ({"trials": ()}, NANO, "puts a template of its own around every prompt"),
    ],
)
def test_what_nobody_compared_says_why(
    changed: dict[str, Any],
    checkpoint: str,
    reason: str,
    tmp_path: Path,
    real_tokenizer: tokenizers.Tokenizer,
) -> None:
    found = verify(tmp_path, served(real_tokenizer, **changed), checkpoint)
    assert found.reference is None
    assert reason in str(found.reason)


def test_weights_too_large_to_compute_are_left_alone(
    tmp_path: Path, real_tokenizer: tokenizers.Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "SHARE_OF_MEMORY", 0.0)
    found = verify(tmp_path, served(real_tokenizer))
    assert "GB of weights are too large for here" in str(found.reason)


PREDICT = """
import sys
from needlework.cli import cli
words = ["predict", "out/one.jsonl", "vt.jsonl", "--backend", "server", "--checkpoint", "me/tiny"]
words += ["--tokenizer", sys.argv[1], "--tasks", "tasks.json", "--server", sys.argv[2]]
cli.main(words, standalone_mode=False)
sys.stdout.write(str("torch" in sys.modules))
"""


def test_asking_does_not_wait_for_torch(tmp_path: Path) -> None:
    spec = small_plan().tasks["ruler"]["vt"].model_dump_json()
    (tmp_path / "tasks.json").write_text(f'{{"vt": {spec}}}', encoding="utf-8")
    sample = '{"index": 0, "input": "the magic number", "outputs": ["7"], "length": 9}\n'
    (tmp_path / "vt.jsonl").write_text(sample, encoding="utf-8")
    with serving(echoing(models=None)) as server:
        done = subprocess.run(
            [sys.executable, "-c", PREDICT, TOKENIZER, f'{{"endpoint": "{server.url}"}}'],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-1] == "False"
    assert "4 tokens in, 0 of them from the server's cache, 1 out" in done.stderr
    assert (tmp_path / "out/one.jsonl").read_text(encoding="utf-8").count("\n") == 1

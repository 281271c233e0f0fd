"""The nano tasks and their tokenizer, made once, and short ways to samples."""

from functools import cache
from pathlib import Path

from needlework import tokenizers
from needlework.nano import language
from needlework.records import Sample, SampleDetail
from needlework.study.catalogue import read_tasks
from needlework.tasks import english, generate
from needlework.tasks.material import Item, Material
from needlework.tasks.prompts import WordingName
from needlework.tasks.specs import Spec
from needlework.tokenizers import Tokenizer

ROOT = Path(__file__).parents[1]
DEPTHS = (0, 20, 40, 50, 60, 80, 100)
FORMATS = ("niah_essay_numbers", "niah_essay_uuids", "niah_repeat_numbers")

_TASKS = read_tasks(ROOT / "config" / "tasks.yaml")
RULER: dict[str, Spec] = _TASKS.nano.chosen("ruler", None, where="ruler")
DEPTH: dict[str, Spec] = _TASKS.nano.chosen("depth", None, where="depth")
NANO: dict[str, Spec] = RULER | DEPTH
ENGLISH: dict[str, Spec] = _TASKS.english.chosen("both", ("ruler", "depth"), where="both")

Row = tuple[Sample, SampleDetail]


@cache
def nano_tokenizer() -> Tokenizer:
    return tokenizers.load(str(ROOT / "resources" / "nano" / "tokenizer"))


@cache
def english_tokenizer(folder: Path) -> Tokenizer:
    """A tokenizer of the reference material, read once for all tests."""
    return tokenizers.load(str(folder))


def rows(
    task: str,
    *,
    length: int = 256,
    samples: int = 3,
    seed: int = 42,
    material: Material | None = None,
) -> list[Row]:
    return list(
        generate(
            NANO[task],
            material=material or language.material(),
            tokenizer=nano_tokenizer(),
            length=length,
            samples=samples,
            seed=seed,
            task=task,
        )
    )


def english_rows(
    task: str,
    shared: Path,
    *,
    length: int = 1024,
    samples: int = 2,
    seed: int = 42,
    tokenizer: str = "gpt-neox-20b",
    wording: WordingName = "ruler",
) -> list[Row]:
    """Samples of an English task; questions are the made-up ones of the reference material."""
    source = getattr(ENGLISH[task], "source", None)
    questions = shared / f"golden/qa/{source}.json" if source else None
    return list(
        generate(
            ENGLISH[task],
            material=english.material(shared / "mirror", questions, wording=wording),
            tokenizer=english_tokenizer(shared / "mirror/tokenizers" / tokenizer),
            length=length,
            samples=samples,
            seed=seed,
            task=task,
        )
    )


def item(index: int = 0, *, budget: int = 256, seed: int = 42) -> Item:
    return Item(seed, ("test",), index, budget, budget)


def needle_texts(row: Row) -> list[str]:
    sample, detail = row
    return [sample.input[span.start : span.end] for span in detail.needles]


def without_needles(row: Row) -> list[str]:
    """The words of a prompt but those of its needles."""
    sample, detail = row
    text = sample.input
    for span in reversed(detail.needles):
        text = f"{text[: span.start]} {text[span.end :]}"
    return text.split()

"""What was found, as records: one file for every step, and all of them as `prove.json`.

No torch: `plan` reads them too.
"""

from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import Field

from needlework.errors import RecordError, StudyError
from needlework.files import write_text
from needlework.parsing import Closed, parse, read

Kind = TypeVar("Kind", bound=Closed)


class Facts(Closed):
    """The machine, as it says of itself."""

    kind: Literal["facts"] = "facts"
    device: Literal["cpu", "cuda"]
    name: str
    """Of the GPU, or of the processor."""
    capability: str | None
    """Compute capability of the GPU, as 9.0."""
    memory: int
    """Bytes of the GPU, or of main memory."""
    driver: str | None
    cuda: str | None
    """The CUDA version that torch was built with."""
    python: str
    torch: str
    triton: str | None
    packages: dict[str, str]
    """Version of every package with kernels, or why it is not used."""
    code: str
    """Digest of the modules behind all steps."""

    @property
    def identity(self) -> tuple[str, ...]:
        """What must be the same for steps of several runs to stand on one page."""
        return self.name, f"Python {self.python}", f"torch {self.torch}", f"code {self.code}"


class Built(Closed):
    """causal-conv1d, compiled for this GPU."""

    kind: Literal["built"] = "built"
    architecture: str
    bytes: int


class Check(Closed):
    """One call compared with float64."""

    what: str
    dtype: str
    tokens: int
    difference: float
    """Of outputs and final states, the largest over the largest number of what it belongs to."""
    by_torch: float
    """The same when torch alone computes it in this dtype."""
    allowed: float

    @property
    def passed(self) -> bool:
        """Whether the kernels are as near as they must be; not a number is not."""
        return self.difference <= self.allowed


class Checks(Closed):
    """The calls of one kind of layer."""

    kind: Literal["checks"] = "checks"
    layer: str
    kernels: dict[str, str]
    """Who computed each operation of the layer."""
    checks: tuple[Check, ...] = Field(min_length=1)

    @property
    def worst(self) -> Check:
        """The one that is farthest from what is allowed."""
        return max(self.checks, key=lambda check: (not check.passed, check.difference))


class Peaks(Closed):
    """What the device does at its best."""

    kind: Literal["peaks"] = "peaks"
    dtype: str
    flops: float
    """FLOP/s of one large matrix product."""
    bandwidth: float
    """Bytes a second that a large copy reads and writes."""


class PromptSpeed(Closed):
    """Prompts of one length, read by the engine."""

    length: int
    rows: int
    """Prompts of one forward call."""
    tokens_per_second: float
    flops: float
    """FLOP/s, by the formulas of the cost model."""
    peak_bytes: int | None
    """Most memory in use on the GPU; None on a CPU."""


class AnswerSpeed(Closed):
    """Answers of some rows, written together by the engine."""

    rows: int
    tokens_per_second: float | None
    """Of all rows together; None where they did not fit into memory."""
    peak_bytes: int | None


class MeasuredRates(Closed):
    """What `needlework plan` computes with."""

    flops: float = Field(gt=0)
    """FLOP/s while prompts are read."""
    bandwidth: float = Field(gt=0)
    """Bytes a second while answers are written."""
    step: float = Field(ge=0)
    """Seconds of a step of writing beside what it moves."""


class Speed(Closed):
    """One decoder with random weights."""

    kind: Literal["speed"] = "speed"
    checkpoints: tuple[str, ...] = Field(min_length=1)
    """The published checkpoints of this shape."""
    dtype: Literal["float32", "bfloat16"]
    parameters: int
    kernels: dict[str, str]
    context: int
    """Tokens before the answers."""
    reading: tuple[PromptSpeed, ...]
    writing: tuple[AnswerSpeed, ...]
    longest: int | None
    """Tokens of one row that fit, tried; None where the state does not grow."""
    at_least: bool
    """Whether `longest` is where trying ended, and not where memory did."""
    rates: MeasuredRates | None
    """None where rows did not fit that they are derived from."""


class LongRead(Closed):
    """One long prompt, read by a whole decoder under the engine's own limits."""

    kind: Literal["read"] = "read"
    checkpoint: str
    tokens: int
    seconds: float
    peak_bytes: int | None


class BatchAnswers(Closed):
    """Greedy answers to the same prompts under batches of several sizes."""

    kind: Literal["batches"] = "batches"
    checkpoint: str
    dtype: str
    prompts: int
    tokens: int
    """Of an answer."""
    differing: dict[int, int]
    """Answers that are not those of one row at a time, by rows."""


class Replayed(Closed):
    """Steps of one decoder, recorded and replayed, beside the same steps launched one by one."""

    kind: Literal["replayed"] = "replayed"
    checkpoint: str
    dtype: str
    rows: int
    tokens: int
    """That each way has written, in all rows."""
    recorded: bool
    """Whether anything was recorded; elsewhere than on CUDA both ways are one."""
    differing: int
    """Tokens that are not the same."""
    difference: float
    """Of logits, the largest over the largest logit; the same kernels give the same numbers."""
    launched_seconds: float
    """Of a step."""
    replayed_seconds: float

    @property
    def passed(self) -> bool:
        """Whether both ways write the same by the same numbers."""
        return self.differing == 0 and self.difference == 0.0


class BesidePrefix(Closed):
    """Rows that are written beside one prefix, and the same rows with all keys of their own."""

    kind: Literal["beside"] = "beside"
    checkpoint: str
    dtype: str
    rows: int
    prefix: int
    """Tokens that all rows begin with."""
    in_place: bool
    """Whether our own kernel looks at the prefix where it lies; else each step copies it."""
    difference: float
    """Of logits, the largest over the largest logit."""
    tolerance: float
    copied_seconds: float
    """Of a step of rows with all keys of their own."""
    beside_seconds: float

    @property
    def passed(self) -> bool:
        """Whether both ways agree as far as rounding lets them."""
        return self.difference <= self.tolerance


Result = Annotated[
    Facts | Built | Checks | Peaks | Speed | LongRead | BatchAnswers | Replayed | BesidePrefix,
    Field(discriminator="kind"),
]


class StepRecord(Closed):
    """What became of one step."""

    name: str
    title: str
    status: Literal["done", "failed", "not run"]
    seconds: float | None = None
    error: str | None = None
    """Why it failed or was not run, in one line."""
    result: Result | None = None


class Proof(Closed):
    """Everything: `prove.json`."""

    format: Literal["needlework-prove-1"] = "needlework-prove-1"
    toy: bool
    """Whether sizes were those of a CPU, which say nothing of a GPU."""
    steps: tuple[StepRecord, ...]

    @property
    def results(self) -> list[Result]:
        """What steps found, in their order."""
        return [step.result for step in self.steps if step.result is not None]

    @property
    def facts(self) -> Facts:
        """The machine.

        Raises:
            RecordError: no step tells.
        """
        for result in self.results:
            if isinstance(result, Facts):
                return result
        raise RecordError(
            "a proof without the facts of its machine; delete it and run `needlework prove` again"
        )

    @property
    def speeds(self) -> list[Speed]:
        """Every decoder that was measured."""
        return [result for result in self.results if isinstance(result, Speed)]

    @property
    def peaks(self) -> Peaks | None:
        """The peaks, where they were measured."""
        return next((result for result in self.results if isinstance(result, Peaks)), None)


def write_step(folder: Path, record: StepRecord) -> None:
    """Write the file of one step, all or nothing."""
    write_text(folder / "steps" / f"{record.name}.json", record.model_dump_json(indent=1) + "\n")


def read_step(folder: Path, name: str) -> StepRecord | None:
    """The file of one step; None without one.

    Raises:
        RecordError: the file is damaged; names it.
    """
    path = folder / "steps" / f"{name}.json"
    if not path.is_file():
        return None
    return _read(StepRecord, path, "delete it and run the same command again")


def read_proof(path: Path) -> Proof:
    """A `prove.json`.

    Raises:
        RecordError: the file is absent, damaged or something else; names it.
    """
    return _read(Proof, path, "name the prove.json that `needlework prove` wrote")


def _read(kind: type[Kind], path: Path, way_out: str) -> Kind:
    try:
        return parse(kind, read(path), where=str(path))
    except StudyError as error:
        raise RecordError(f"{str(error).splitlines()[0]}; {way_out}") from error

"""What is known of models that a server answers for, as files tell it."""

from typing import Literal, Self

from pydantic import NonNegativeInt, PositiveInt, model_validator

from needlework.parsing import Closed, Line, parse
from needlework.records import Verification
from needlework.terminal import printable


class Facts(Closed):
    """What a server says of itself."""

    software: str | None
    """Who serves, with a version; None where the server does not say."""
    model: str
    longest: PositiveInt | None
    """Tokens of prompt and answer together; None where the server does not say."""
    served: tuple[str, ...] = ()
    """Every model that it lists; none where it has no list."""

    def told(self, fingerprint: str | None) -> str:
        """In one line, for records."""
        said = [self.software or "a server that does not name itself", f"model {self.model}"]
        said += [f"at most {self.longest} tokens"] if self.longest else []
        said += [f"fingerprint {fingerprint}"] if fingerprint else []
        return printable(", ".join(said))


class Repeats(Closed):
    """Samples that were asked twice, one after the other, among others under way."""

    asked: int
    different: int
    """Whose two answers differ."""


class Trial(Closed):
    """A short prompt, and what the server wrote after it."""

    tokens: tuple[int, ...]
    text: str


class Served(Closed):
    """What is known of a served model: `served/{model}.json`."""

    model: str
    endpoint: str
    """Where it was asked; `serve` where the job started it."""
    facts: Facts
    fingerprint: str | None
    reads: Literal["token ids", "text", "messages"]
    """How prompts go there."""
    counts: bool
    """Whether it says how many tokens it read, which were then compared with ours."""
    sent: str
    """What answers were asked for with, in words."""
    repeats: Repeats
    trials: tuple[Trial, ...]
    """What its weights can be compared by, where they are at hand."""

    def told(self) -> str:
        """In one line, for records."""
        return self.facts.told(self.fingerprint)


class ServedVerification(Closed, strict=True):
    """What is known of a served model's weights: `verified/{model}.json`.

    The server wrote some tokens after short prompts, greedily; the weights here wrote theirs.
    """

    model: Line
    server: Line
    """What the server says of itself."""
    reads: Line
    sent: Line
    counts: bool
    reference: Line | None
    """What computed the weights here; None where nobody could."""
    reason: Line | None
    """Why nobody could."""
    prompts: NonNegativeInt
    """Prompts that were compared."""
    tokens: NonNegativeInt
    """Most tokens after each."""
    ties: NonNegativeInt
    """Prompts whose answers have a token that is only nearly the best one."""
    repeated: NonNegativeInt
    different: NonNegativeInt

    @model_validator(mode="after")
    def _of_what_there_is(self) -> Self:
        if self.different > self.repeated or self.ties > self.prompts:
            raise ValueError("counts more answers than it asked for")
        return self

    @property
    def passed(self) -> bool:
        """A served model that was found to be another one is not written down."""
        return True

    def asked_again(self) -> str:
        """How much the server agrees with itself, in words."""
        if not self.repeated:
            return "no sample was asked twice"
        share = 100 * self.different / self.repeated
        return f"{share:.0f} % of {self.repeated} samples asked twice were answered otherwise"

    def told(self) -> str:
        """What is known of it, in words that are the same on every machine."""
        said = [self.server, f"prompts as {self.reads}", self.sent]
        said += [] if self.counts else ["it does not say how many tokens it reads"]
        if self.reference:
            ties = f", {self.ties} of them but for a tie" if self.ties else ""
            said.append(
                f"after {self.prompts} short prompts {self.tokens} greedy tokens are those of "
                f"{self.reference}{ties}"
            )
        return "; ".join([*said, self.asked_again()])


def parse_verification(values: object, *, where: str) -> Verification | ServedVerification:
    """What is known of a model's weights, of one that a server answers for as of any other.

    Raises:
        StudyError: the values are neither.
    """
    if isinstance(values, dict) and "server" in values:
        return parse(ServedVerification, values, where=where)
    return parse(Verification, values, where=where)

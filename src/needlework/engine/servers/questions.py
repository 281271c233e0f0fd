"""The questions of a cell as a server is asked them, and the count of tokens that both must have.

What is counted here is what the model should read: where a server reads something else, it does not
answer our question.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from needlework import tokenizers
from needlework.errors import ResourceError, ServerError
from needlework.parsing import Closed
from needlework.records import Sample
from needlework.study.served import Server
from needlework.tasks import chat
from needlework.tokenizers import Tokenizer

Form = Literal["token ids", "text", "messages"]
"""How prompts go to a server."""
SENT = (
    "temperature 0, seed 0, no stop strings, as many tokens as the task allows; of vLLM, SGLang "
    "and llama.cpp also no penalty for repeated tokens"
)
"""What answers are asked for with."""


class Identity(Closed):
    """What decides an answer of a server, its prompt aside; of all else only it knows."""

    model: str
    weights: str
    """The commit of the checkpoint, or the digests of its files; else its name."""
    api: str
    sent: str
    tokenizer: str
    """A digest of what begins a prompt and counts its tokens."""
    limit: int


@dataclass(frozen=True)
class Question:
    """One prompt, as the model should read it."""

    text: str
    """What is sent, unless token ids are."""
    tokens: tuple[int, ...]
    """Its ids, those of a begin token and of a chat template included."""
    limit: int
    """Most tokens of the answer."""
    key: str
    """The digest of all that decides the answer."""
    name: str
    """Task and index, for messages."""


@dataclass(frozen=True)
class Asked:
    """How much a dataset asks of every sample."""

    samples: Sequence[Sample]
    limit: int


class Reader:
    """Makes questions of samples, for one model on a server."""

    def __init__(
        self, server: Server, *, tokenizer: str, revision: str | None, begins: bool, weights: str
    ) -> None:
        self._server = server
        self.tokenizer: Tokenizer = tokenizers.load(tokenizer, revision=revision, begins=begins)
        self._weights = weights
        self._around = _template(tokenizer, revision) if server.api == "chat" else None
        self.exact = server.api == "completions" or self._around is not None
        """Whether we know every token that the model reads; a chat template may be the server's."""

    def questions(self, tasks: Mapping[str, Asked]) -> list[tuple[str, Sample, Question]]:
        """Task, sample and question of every sample, by task as given and by index."""
        return [
            (task, sample, question)
            for task, asked in tasks.items()
            for sample, question in self._of_task(task, asked)
        ]

    def _of_task(self, task: str, asked: Asked) -> list[tuple[Sample, Question]]:
        samples = sorted(asked.samples, key=lambda sample: sample.index)
        names = [f"{task} #{sample.index}" for sample in samples]
        texts = [sample.input for sample in samples]
        return list(zip(samples, self.made(texts, asked.limit, names), strict=True))

    def made(self, texts: Sequence[str], limit: int, names: Sequence[str]) -> list[Question]:
        """Questions of plain texts."""
        before, after = self._around or ("", "")
        encoded = self.tokenizer.encode_batch([f"{before}{text}{after}" for text in texts])
        begin = () if self._around else self.tokenizer.begin
        return [
            Question(text, (*begin, *tokens), limit, self._key(text, limit), name)
            for text, tokens, name in zip(texts, encoded, names, strict=True)
        ]

    def _key(self, text: str, limit: int) -> str:
        identity = Identity(
            model=self._server.name,
            weights=self._weights,
            api=self._server.api,
            sent=SENT,
            # Its name says where the file lies, which decides nothing.
            tokenizer=f"{self.tokenizer.identity.rpartition('@')[2]} {self.tokenizer.begin}",
            limit=limit,
        )
        digest = hashlib.sha256(identity.model_dump_json().encode())
        digest.update(b"\n" + text.encode())
        return digest.hexdigest()


def _template(tokenizer: str, revision: str | None) -> tuple[str, str] | None:
    """What the tokenizer's own chat template puts around a question; None where it has none."""
    try:
        found = chat.wrapper(tokenizer, revision=revision)
    except ResourceError:
        return None
    return found.before, found.after


def forest_order(questions: Iterable[Question]) -> list[Question]:
    """The questions with those next to each other that share most of their beginnings.

    It is the order in which a tree of the prompts is walked, so that what a server keeps of the
    last prompt serves the next.
    """
    # Big-endian bytes compare like the numbers.
    return sorted(questions, key=lambda each: np.asarray(each.tokens, dtype=">u4").tobytes())


class Counter:
    """Compares the tokens that a server says it read with ours, question by question."""

    def __init__(self, reader: Reader, model: str) -> None:
        self._reader = reader
        self._model = model
        self._around: int | None = 0 if reader.exact else None
        """Tokens of the server's own chat template, as the first answer shows them."""

    def expected(self, question: Question) -> int:
        """Tokens that the server will read, as far as it is known."""
        return len(question.tokens) + (self._around or 0)

    def check(self, question: Question, counted: int | None) -> None:
        """Accept the number of tokens that the server read.

        Raises:
            ServerError: it is another one than ours; says what that usually means.
        """
        if counted is None:
            return
        apart = counted - len(question.tokens)
        if self._around is None and apart >= 0:
            self._around = apart
        if apart != (self._around or 0):
            raise ServerError(
                f"{self._model} read {counted:,} tokens of {question.name}, where "
                f"{self.expected(question):,} were meant: "
                f"{self._guess(apart - (self._around or 0))}"
            )

    def _guess(self, apart: int) -> str:
        begin = len(self._reader.tokenizer.begin)
        if apart < 0 and apart == -begin:
            return (
                "it adds no begin token; let the server add it, or set `add_bos_token: false` in "
                "the tokenizer_config.json of ours if the model was trained without"
            )
        if apart < 0:
            return (
                "it cuts prompts, or has another tokenizer; give it a longer context, or name the "
                "tokenizer of the model it serves"
            )
        if apart == 1:
            return (
                "it adds a begin token that the prompt has already; for `wrapper: chat` take "
                "`api: chat` with `wrapper: base`, or a server that takes token ids"
            )
        return (
            "it puts a template around prompts, or has another tokenizer; ask it at `api: chat` "
            "with `wrapper: base`, or name the tokenizer of the model it serves"
        )

"""Task generators: from a spec, a material and a token budget to samples.

`generate` draws, fits and records every sample; each generator module plans one kind of task.
"""

from collections.abc import Callable, Iterator

from needlework.errors import BudgetError
from needlework.records import Sample, SampleDetail
from needlework.tasks import drafts, generators
from needlework.tasks.drafts import Draft
from needlework.tasks.fitting import Counter, largest_fit
from needlework.tasks.material import Item, Material
from needlework.tasks.specs import Spec, question_group
from needlework.tokenizers import Tokenizer


def generate(
    spec: Spec,
    *,
    material: Material,
    tokenizer: Tokenizer,
    length: int,
    samples: int,
    seed: int,
    task: str,
) -> Iterator[tuple[Sample, SampleDetail]]:
    """Yield `samples` samples whose prompt and answer take at most `length` tokens.

    Sample i draws from streams below (seed, task, i): it does not depend on how many samples or
    which other tasks are made, nor on the length or the tokenizer, which only decide how much hay
    surrounds its needles. Needles at a fixed depth share one address whatever the depth and the
    haystack, so that the samples of the depth suite differ in nothing else.

    Raises:
        BudgetError: the question alone is too long.
    """
    counter = Counter(tokenizer)
    budget = prompt_budget(spec, length, begin=len(tokenizer.begin))
    guess = 1
    for index in range(samples):
        item = Item(seed, ("evaluate", question_group(spec, task)), index, budget, length)
        draft, size = fit(spec, material, item, counter, guess=guess)
        guess = size
        tokens = counter(draft.text)
        yield (
            Sample(
                index=index,
                input=draft.text,
                outputs=draft.outputs,
                length=tokens + spec.tokens_to_generate,
            ),
            _detail(index, tokens, draft),
        )


def prompt_budget(spec: Spec, length: int, *, begin: int) -> int:
    """Tokens a prompt may take within `length`, after the answer and `begin` special tokens.

    Raises:
        BudgetError: nothing is left.
    """
    budget = length - spec.tokens_to_generate - begin
    if budget < 1:
        raise BudgetError(
            f"length = {length} leaves no token for a prompt after {spec.tokens_to_generate} for "
            f"the answer and {begin} special; raise the length or lower tokens_to_generate"
        )
    return budget


def fit(
    spec: Spec,
    material: Material,
    item: Item,
    count: Callable[[str], int],
    *,
    guess: int = 1,
) -> tuple[Draft, int]:
    """The draft of an item with the largest haystack its budget permits, and that size."""
    plan = generators.plan(spec, material, item)
    size = largest_fit(
        lambda size: count(plan.compose(size).text), item.budget, most=plan.most, guess=guess
    )
    return plan.compose(size), size


def _detail(index: int, tokens: int, draft: Draft) -> SampleDetail:
    return SampleDetail(
        index=index,
        prompt_tokens=tokens,
        depths=tuple(needle.depth for needle in draft.needles),
        needles=drafts.spans(draft.needles),
        answers=tuple(needle.answer for needle in draft.needles),
        question_start=draft.question_start,
    )

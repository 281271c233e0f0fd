"""What a model cannot be asked: tokens that it does not know, and more than it has positions."""

from collections.abc import Iterable

from needlework.errors import EngineError
from needlework.models.decoder import Decoder
from needlework.tokenizers import Tokenizer
from needlework.tokenizers.prefixes import Tokens


def check_vocabulary(texts: Iterable[Tokens], tokenizer: Tokenizer, decoder: Decoder) -> None:
    """Nothing, where the model knows all tokens of these texts.

    Raises:
        EngineError: it does not.
    """
    largest = max((int(tokens.max()) for tokens in texts if len(tokens)), default=0)
    known = decoder.config.vocabulary
    if largest >= known:
        raise EngineError(
            f"tokenizer {tokenizer.identity} produced id {largest}, outside the model's vocabulary "
            f"of {known}; name the tokenizer that belongs to the checkpoint"
        )


def impossible(tokens: Tokens, limit: int, decoder: Decoder) -> str | None:
    """Why this prompt cannot be answered, whatever the memory."""
    positions = decoder.config.positions
    if not len(tokens):
        return "the prompt has no tokens"
    if positions is not None and len(tokens) + limit > positions:
        return (
            f"prompt and answer of {len(tokens) + limit} tokens exceed the {positions} positions "
            "of the model; choose a shorter length"
        )
    return None

"""What the layers of one forward call have in common: computed by the first that asks for it."""

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

Shared = TypeVar("Shared")


@dataclass
class _Call:
    owns: bool
    found: dict[Hashable, Any] = field(default_factory=dict)


_call: ContextVar[_Call | None] = ContextVar("call", default=None)


@contextmanager
def one_call(*, owns_states: bool = False) -> Iterator[None]:
    """A forward call of a whole decoder, whose layers have all read the same tokens before.

    Who owns the states that are given uses them no more: what they hold may be overwritten. A call
    within such a call passes that on.
    """
    outer = _call.get()
    token = _call.set(_Call(owns_states or (outer is not None and outer.owns)))
    try:
        yield
    finally:
        _call.reset(token)


def once(key: Hashable, make: Callable[[], Shared]) -> Shared:
    """What `make` gives, made once for each key in a call; anew where a layer runs by itself."""
    call = _call.get()
    if call is None:
        return make()
    if key not in call.found:
        call.found[key] = make()
    return cast(Shared, call.found[key])


def owns_states() -> bool:
    """Whether nobody else will use the states that the layers of this call are given."""
    call = _call.get()
    return call is not None and call.owns

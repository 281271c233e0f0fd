"""Would we notice a loader that lets a tensor pass?"""

from collections.abc import Mapping
from pathlib import Path

import pytest

from needlework.models import checkpoints
from needlework.models.checkpoints import accounting
from needlework.models.config import DecoderConfig
from needlework.models.decoder import Decoder
from tests.unit.models import test_checkpoints as tests
from tests.unit.models.test_checkpoints import checkpoint as checkpoint


def test_a_loader_that_skips_what_it_does_not_know_is_caught(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exporting code of torchtitan drops unknown layer tensors in silence."""
    honest = accounting.account

    def forgiving(
        places: Mapping[str, accounting.Place],
        shapes: Mapping[str, tuple[int, ...]],
        decoder: Decoder,
        *,
        where: str,
    ) -> None:
        known = {name: shapes[name] for name in shapes.keys() & places.keys()}
        honest(places, known, decoder, where=where)

    monkeypatch.setattr(checkpoints, "account", forgiving)
    with pytest.raises((AssertionError, KeyError, pytest.fail.Exception)):
        tests.test_an_extra_tensor_is_named(checkpoint)


def test_a_table_that_forgets_a_tensor_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name table that leaves a bias at whatever memory held."""
    honest = checkpoints.FAMILIES["rwkv6"]

    def forgetful(spec: DecoderConfig) -> Mapping[str, accounting.Place]:
        found = dict(honest.places(spec))
        del found["rwkv.blocks.7.attention.ln_x.bias"]
        return found

    families = {**checkpoints.FAMILIES, "rwkv6": checkpoints.Format(honest.config, forgetful)}
    monkeypatch.setattr(checkpoints, "FAMILIES", families)
    with pytest.raises(AssertionError, match=r"does not fill.*norm\.bias"):
        tests.test_name_tables_fill_every_row_of_every_parameter("rwkv6")


@pytest.mark.slow
def test_a_loader_that_keeps_what_it_has_read_is_caught(tmp_path: Path) -> None:
    """As `load_state_dict` on a whole state dict would."""
    hoarding = """
honest = reading.tensors
reading.tensors = lambda *given: [(name, tensor.clone()) for name, tensor in honest(*given)]
"""
    assert tests.memory_share(tmp_path, more=hoarding) > 1.8

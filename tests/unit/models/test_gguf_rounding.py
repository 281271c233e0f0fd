"""A GGUF file rounded once more: the same bytes each time, and everything else as it was."""

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from needlework.cli import cli
from needlework.errors import CheckpointError
from needlework.gguf_header import read_header
from needlework.models import load
from needlework.models.checkpoints.gguf_rounding import round_weights
from tests import gguf_for_tests as files


@pytest.mark.parametrize("kind", ["Q8_0", "Q4_0"])
def test_matrices_are_rounded_and_nothing_else(kind: str, tmp_path: Path) -> None:
    source = files.write(tmp_path / "source.gguf", rounding="Q4_1")
    round_weights(source, tmp_path / "rounded.gguf", kind)
    before, after = read_header(source), read_header(tmp_path / "rounded.gguf")
    assert after.settings == before.settings
    assert after.quantisation == kind
    assert {each.kind for each in after.weights if len(each.shape) == 1} == {"F32"}
    parameters = dict(load(source).named_parameters())
    for name, rounded in load(tmp_path / "rounded.gguf").named_parameters():
        step = {"Q8_0": 1 / 127, "Q4_0": 1 / 8}[kind] * float(parameters[name].abs().max())
        difference = float((rounded - parameters[name]).abs().max())
        assert difference <= (0 if rounded.ndim == 1 else 1.01 * step)
    assert not torch.equal(rounded, torch.zeros_like(rounded))


def test_rounded_weights_can_be_written_out(tmp_path: Path) -> None:
    """The same numbers, for servers that round what they multiply with rounded ones."""
    source = files.write(tmp_path / "source.gguf", rounding="Q4_1")
    round_weights(source, tmp_path / "plain.gguf", "F32")
    assert {each.kind for each in read_header(tmp_path / "plain.gguf").weights} == {"F32"}
    parameters = dict(load(source).named_parameters())
    for name, written in load(tmp_path / "plain.gguf").named_parameters():
        assert torch.equal(written, parameters[name])


def test_the_same_file_gives_the_same_bytes(tmp_path: Path) -> None:
    source = files.write(tmp_path / "source.gguf")
    for name in ("a", "b"):
        command = ["round-weights", str(source), str(tmp_path / f"{name}.gguf"), "--to", "Q8_0"]
        assert CliRunner().invoke(cli, command, catch_exceptions=False).exit_code == 0
    assert (tmp_path / "a.gguf").read_bytes() == (tmp_path / "b.gguf").read_bytes()


def test_what_is_no_gguf_file_is_one_line(tmp_path: Path) -> None:
    source = tmp_path / "model.safetensors"
    source.touch()
    with pytest.raises(CheckpointError, match="is no GGUF file"):
        round_weights(source, tmp_path / "out.gguf", "Q8_0")
    assert not (tmp_path / "out.gguf").exists()

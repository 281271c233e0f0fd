"""Estimates: what grows with what, the engine's limits, and what is asked of a cluster."""

import itertools
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml

from needlework.cost import estimate, room
from needlework.cost.architectures import Weights, architecture
from needlework.cost.devices import DEVICES, assumed, home
from needlework.cost.formulas import costs
from needlework.cost.published import CHECKPOINTS, published
from needlework.cost.study import cell_cost
from needlework.cost.work import expected, shared_share
from needlework.models import attending
from needlework.models.decoder import Decoder
from needlework.parsing import parse
from needlework.study import plan
from needlework.study.grid import Cell
from needlework.tasks.specs import NiahSpec, Spec
from tests.study_for_tests import CONFIG, small_plan
from tests.tasks_for_tests import ENGLISH
from tests.unit.models.test_checkpoints import FULL_SIZE

A100 = DEVICES["a100-80gb"]
MAMBA, LLAMA = "state-spaces/mamba2-2.7b", "princeton-nlp/Sheared-LLaMA-2.7B"
PARSE = """
import re, sys, yaml
from pathlib import Path
for rules in Path("workflow/rules").glob("*.smk"):
    for imports in re.findall(r"^ *(from needlework.* import .*)$", rules.read_text(), re.M):
        exec(imports)
found = plan.resolve(yaml.safe_load(open("config/paper.yaml")), Path("config"))
for cell in found.grid().cells():
    cell_cost(found, cell)
heavy = ("torch", "transformers", "polars", "numpy", "scipy", "altair", "jinja2", "nltk")
print([name for name in heavy if name in sys.modules])
"""


def of_hub(checkpoint: str, *, hazards: tuple[str, ...] = ()) -> Weights:
    return Weights(checkpoint, None, "bfloat16", hazards)


def cost(checkpoint: str, *, length: int = 4096, samples: int = 250) -> estimate.Estimate:
    found = estimate.estimate(
        of_hub(checkpoint), tuple(ENGLISH.values()), samples=samples, length=length, device=A100
    )
    assert found is not None
    return found


@pytest.mark.parametrize("checkpoint", [MAMBA, LLAMA, "google/recurrentgemma-2b"])
def test_longer_prompts_cost_more(checkpoint: str) -> None:
    found = [cost(checkpoint, length=length) for length in (1024, 2048, 4096, 16384)]
    assert all(a.flops < b.flops for a, b in itertools.pairwise(found))
    assert all(a.seconds < b.seconds for a, b in itertools.pairwise(found))


@pytest.mark.parametrize("checkpoint", [MAMBA, LLAMA])
def test_more_samples_cost_more(checkpoint: str) -> None:
    few, many = cost(checkpoint, samples=100), cost(checkpoint, samples=250)
    assert few.seconds < many.seconds
    assert few.prompts * 2.5 == many.prompts


def test_two_flops_a_parameter_and_token_is_most_of_it() -> None:
    """Kaplan's rule, without attention and with the embedding, which multiplies nothing."""
    spec = published(MAMBA)
    assert spec is not None
    model = costs(spec)
    rule = 2 * (model.parameters - model.vocabulary_parameters) * 1000
    assert model.read_flops(0, 1000) == pytest.approx(rule, rel=0.1)


def test_only_attention_pays_for_length() -> None:
    """Sixteen times the tokens."""
    mamba, llama = published(MAMBA), published(LLAMA)
    assert mamba is not None
    assert llama is not None
    ending, short, long = (costs(mamba).read_flops(0, tokens) for tokens in (0, 1024, 16384))
    assert long - ending == 16 * (short - ending)
    assert costs(llama).read_flops(0, 16384) > 20 * costs(llama).read_flops(0, 1024)


PLUSPLUS = "state-spaces/transformerpp-2.7b"


@pytest.mark.parametrize("checkpoint", [PLUSPLUS, LLAMA])
def test_an_a100_holds_ten_rows_of_16K_of_an_attention_model(checkpoint: str) -> None:
    """Two, when a quarter of the memory was for rows that are written."""
    assert cost(checkpoint, length=16384).rows >= 10


@pytest.mark.parametrize("length", [1024, 16384])
@pytest.mark.parametrize("checkpoint", CHECKPOINTS)
def test_the_slots_that_are_planned_fit_beside_the_weights(checkpoint: str, length: int) -> None:
    """What is really made of them, tensor by tensor, and the rest of the rule below the device."""
    spec = published(checkpoint)
    assert spec is not None
    with torch.device("meta"):
        decoder = Decoder(spec).to(torch.bfloat16)
    cell = room.Cell(costs(spec), 2, length, 128, contested=False)
    weights = 2 * costs(spec).parameters
    budget = int(room.SHARE_OF_FREE["cuda"] * (A100.memory - weights - estimate.CONTEXT))
    found = room.room_for(cell, budget, "cuda")
    slots = min(found.slots, found.rows + found.states)
    made = decoder.slots(slots, length + room.UNSEEN, 128 + room.UNSEEN).rows(0, slots)
    assert made.bytes == slots * cell.slot_bytes
    assert made.bytes < cell.peak_bytes(found, slots, "cuda") <= budget
    more = found._replace(rows=min(room.MOST_ROWS["cuda"], slots + 1))
    enough = found.rows == room.MOST_ROWS["cuda"]
    assert enough or cell.peak_bytes(more, slots + 1, "cuda") > budget


def test_the_limits_are_those_of_the_engine() -> None:
    assert room.MASKED_PAIRS == attending.MASKED_PAIRS


def test_a_prompt_is_shared_up_to_its_needle() -> None:
    assert shared_share(NiahSpec(haystack="essay", depth=60)) == 0.6
    assert shared_share(NiahSpec(haystack="essay", keys=4)) == 0.2
    assert shared_share(NiahSpec(haystack="needle")) == 0.0
    assert shared_share(ENGLISH["fwe"]) == 0.0


def test_nothing_in_common_is_counted_on_of_tasks_of_ones_own() -> None:
    own = {"metric": "all", "tokens_to_generate": 4}
    for values in ({"generator": "file", "path": "a.jsonl"}, {"generator": "a.py:f"}):
        spec: Spec = parse(Spec, values | own, where="tasks.yaml")  # type: ignore[arg-type]
        assert shared_share(spec) == 0.0


def test_a_model_that_reads_prompts_whole_shares_nothing() -> None:
    """Hazard rg-window lets tokens see later ones."""
    name = "google/recurrentgemma-2b"
    whole = estimate.estimate(
        of_hub(name, hazards=("rg-window",)),
        tuple(ENGLISH.values()),
        samples=250,
        length=4096,
        device=A100,
    )
    assert whole is not None
    assert whole.shared_tokens == 0 < cost(name).shared_tokens
    assert whole.seconds > cost(name).seconds


def test_one_sample_shares_with_nobody() -> None:
    work = list(expected(ENGLISH.values(), samples=1, length=2048, sharing=True))
    assert sum(each.shared for each in work) == 0


def test_a_scheduler_is_asked_for_more_than_the_estimate() -> None:
    tasks = tuple(ENGLISH.values())
    found = estimate.reserved(of_hub(LLAMA), tasks, samples=250, length=16384)
    expected_cost = cost(LLAMA, length=16384)
    assert found.runtime_minutes * 60 >= estimate.SAFETY * expected_cost.seconds
    assert found.gpu_memory_mb << 20 >= expected_cost.memory
    assert found.memory_mb << 20 >= expected_cost.host_memory


def test_a_nano_cell_asks_for_no_gpu() -> None:
    found = cell_cost(small_plan(), Cell("nano-llama", "ruler", 256))
    assert found.gpu_memory_mb == 0
    assert found.runtime_minutes == estimate.LEAST_MINUTES
    assert home("float32").name == "cpu"


def test_an_unknown_model_gets_the_documented_default() -> None:
    nowhere = Weights("somebody/something", "0" * 40, "bfloat16", ())
    assert architecture(nowhere) is None
    tasks = tuple(ENGLISH.values())
    assert estimate.reserved(nowhere, tasks, samples=250, length=1024) == estimate.UNKNOWN


def test_an_unknown_model_is_given_room() -> None:
    """As much as the dearest ruler cell of 4096 tokens of the study."""
    known = estimate.reserved(of_hub(LLAMA), tuple(ENGLISH.values()), samples=250, length=4096)
    assert estimate.UNKNOWN.runtime_minutes >= known.runtime_minutes
    assert estimate.UNKNOWN.memory_mb >= known.memory_mb
    assert estimate.UNKNOWN.gpu_memory_mb >= known.gpu_memory_mb


def test_a_checkpoint_in_a_folder_is_read_from_its_config(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{torn", encoding="utf-8")
    assert architecture(Weights(str(tmp_path), None, "float32", ())) is None
    nano = architecture(Weights("resources/nano/llama", None, "float32", ()))
    assert nano is not None
    assert nano.family == "llama"


def test_a_hub_config_in_a_folder_is_read_as_its_loader_reads_it(tmp_path: Path) -> None:
    raw, _ = FULL_SIZE["rwkv6"]
    (tmp_path / "config.json").write_text(json.dumps(raw), encoding="utf-8")
    found = architecture(Weights(str(tmp_path), None, "bfloat16", ()))
    assert found == published("RWKV/rwkv-6-world-3b")


def test_a_family_we_cannot_compute_has_no_estimate(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bloom"}', encoding="utf-8")
    assert architecture(Weights(str(tmp_path), None, "bfloat16", ())) is None


def test_a_faster_device_takes_less_time() -> None:
    tasks = tuple(ENGLISH.values())
    fast = estimate.estimate(of_hub(MAMBA), tasks, samples=250, length=4096, device=DEVICES["h200"])
    assert fast is not None
    assert fast.flops == cost(MAMBA).flops
    assert fast.seconds < cost(MAMBA).seconds


def test_assumed_rates_stay_below_what_makers_state() -> None:
    for family in ("mamba2", "rwkv6", "llama"):
        rates = assumed(A100, family, "bfloat16")
        assert rates.flops < A100.half_flops
        assert rates.bandwidth < A100.bandwidth


def test_the_workflow_is_parsed_without_anything_heavy() -> None:
    """Every job parses it again."""
    done = subprocess.run(
        [sys.executable, "-c", PARSE],
        cwd=CONFIG.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


def test_asking_again_takes_less_than_a_millisecond() -> None:
    keys = yaml.safe_load((CONFIG / "paper.yaml").read_text(encoding="utf-8"))
    found = plan.resolve(keys, CONFIG)
    cells = found.grid().cells()
    for cell in cells:
        cell_cost(found, cell)
    began = time.process_time()
    for cell in cells:
        cell_cost(found, cell)
    assert (time.process_time() - began) / len(cells) < 0.001

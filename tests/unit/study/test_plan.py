"""Plan: what rules are told, and the mistakes that only several files together show."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from needlework.errors import StudyError
from needlework.external import locks
from needlework.external.locks import Locked
from needlework.study import plan
from needlework.study.plan import Plan
from tests.study_for_tests import CONFIG, small_plan, study_keys


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A config folder of one's own."""
    (tmp_path / "tables").mkdir()
    for name in ("models.yaml", "tasks.yaml", "tables/paper.yaml"):
        (tmp_path / name).write_text((CONFIG / name).read_text(encoding="utf-8"), encoding="utf-8")
    return tmp_path


def alter(path: Path, *keys: str, value: object) -> None:
    """Set (or, with None, remove) one value of a YAML file."""
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    section = content
    for key in keys[:-1]:
        section = section[key]
    if value is None:
        del section[keys[-1]]
    else:
        section[keys[-1]] = value
    path.write_text(yaml.safe_dump(content), encoding="utf-8")


def alter_list(folder: Path, name: str, *, without: str) -> None:
    """Take one task out of a list of the nano tasks."""
    tasks = yaml.safe_load((folder / "tasks.yaml").read_text(encoding="utf-8"))
    names = [task for task in tasks["nano"]["lists"][name] if task != without]
    alter(folder / "tasks.yaml", "nano", "lists", name, value=names)


def test_an_unknown_model_names_the_nearest() -> None:
    with pytest.raises(StudyError, match=r"`nano-lama` is unknown; did you mean `nano-llama`\?"):
        small_plan(models=["nano-lama"])


def test_an_unknown_task_parameter_names_the_nearest(folder: Path) -> None:
    alter(folder / "tasks.yaml", "nano", "tasks", "vt", "hopps", value=3)
    with pytest.raises(StudyError, match=r"`hopps` is unknown; did you mean `hops`\?"):
        plan.resolve(study_keys(), folder)


OWN = {
    "generator": "file",
    "path": "mine.jsonl",
    "metric": "exact",
    "tokens_to_generate": 4,
}


def with_own_task(folder: Path, **asked: Any) -> Plan:
    """A plan of a suite with a task of its own, whose file is in the working directory."""
    material = asked.get("material", "nano")
    alter(folder / "tasks.yaml", material, "tasks", "mine", value=OWN)
    suites = {"own": {"lengths": [128], "tasks": ["mine", "niah_single_2"]}}
    tables = [{"name": "mine", "suite": "own"}]
    return plan.resolve(study_keys(suites=suites, tables=tables, **asked), folder)


def test_a_dataset_of_ones_own_depends_on_its_file(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "resources").symlink_to(CONFIG.parent / "resources")
    (tmp_path / "mine.jsonl").touch()
    made = with_own_task(folder)
    assert "mine.jsonl" in made.dataset_files("nano-base", "mine")
    assert "mine.jsonl" not in made.dataset_files("nano-base", "niah_single_2")
    assert made.own_files() == ["mine.jsonl"]
    assert "mine" not in plan.resolve(study_keys(), folder).all_tasks, "it joins no other study"


def test_a_file_of_ones_own_must_be_there_before_the_first_job(folder: Path) -> None:
    with pytest.raises(StudyError, match=r"nano\.tasks\.mine: mine\.jsonl does not exist"):
        with_own_task(folder)


def test_the_artifact_had_no_tasks_of_ones_own(folder: Path) -> None:
    """Found out before 5 GB are fetched, not in the job."""
    told = r"mine \(mine\.jsonl\) is no task of the published artifact, which protocol `released`"
    with pytest.raises(StudyError, match=told):
        with_own_task(folder, protocol="released", material="english", models=["mamba2"])


def test_the_artifact_had_no_other_parameters_under_a_name_of_ones_own(folder: Path) -> None:
    spec = {"generator": "niah", "haystack": "repeat", "keys": 9}
    alter(folder / "tasks.yaml", "english", "tasks", "many", value=spec)
    keys = study_keys(
        protocol="released",
        material="english",
        models=["mamba2"],
        suites={"own": {"lengths": [1024], "tasks": ["vt", "many"]}},
        tables=[{"name": "mine", "suite": "own"}],
    )
    with pytest.raises(StudyError, match="many is no task of the published artifact"):
        plan.resolve(keys, folder)


def test_a_task_of_ones_own_says_that_it_needs_essays() -> None:
    suites = {"stories": {"lengths": [2048]}}
    tables = [{"name": "mine", "suite": "stories"}]
    made = small_plan(material="english", models=["mamba2"], suites=suites, tables=tables)
    (prompts,) = {dataset.prompts for dataset in made.datasets()}
    files = made.dataset_files(prompts, "whereabouts_1")
    assert "resources/external/essays/PaulGrahamEssays.json" in files
    assert "config/examples/whereabouts.py" in files


def test_labels_tell_models_apart(folder: Path) -> None:
    alter(folder / "models.yaml", "models", "nano-llama", "label", value="Mamba2")
    with pytest.raises(StudyError, match="same label"):
        plan.resolve(study_keys(), folder)


def test_what_is_neither_a_path_nor_a_hub_id_is_refused(folder: Path) -> None:
    alter(folder / "models.yaml", "models", "nano-llama", "checkpoint", value="no/such/folder")
    with pytest.raises(StudyError, match=r"no/such/folder does not exist, and is no hub id"):
        plan.resolve(study_keys(), folder)
    alter(folder / "models.yaml", "models", "nano-llama", "checkpoint", value="~/llama")
    with pytest.raises(StudyError, match=r"~/llama does not exist.*write the home folder out"):
        plan.resolve(study_keys(), folder)


def test_a_hub_id_is_known_by_the_commit_of_the_lock(folder: Path) -> None:
    """Without one it can be planned, but not asked for."""
    alter(folder / "models.yaml", "models", "nano-llama", "checkpoint", value="me/tiny")
    assert ("checkpoints", "me/tiny", None) in plan.resolve(study_keys(), folder).repositories()
    commit = "ab" * 20
    locks.add(folder / locks.NAME, "me/tiny", Locked(revision=commit))
    found = plan.resolve(study_keys(), folder)
    assert found.models["nano-llama"].revision == commit
    assert f"--revision {commit}" in found.predict_options("nano-llama")


def test_the_models_of_the_published_tables_have_no_commit() -> None:
    """So that a new lock moves no page about them."""
    assert {model.revision for model in small_plan().published} == {None}


def test_models_with_equal_prompts_share_datasets() -> None:
    """Two models, three lengths in use, 13 and 21 tasks: none is counted twice."""
    datasets = small_plan().datasets()
    assert len(datasets) == 2 * 13 + 3 * 21
    assert {dataset.prompts for dataset in datasets} == {"nano-base"}


def test_options_are_quoted_for_the_shell() -> None:
    options = small_plan().dataset_options("nano-base", "vt")
    assert '--parameters \'{"generator":"variable_tracking"' in options
    assert "--revision" not in options


def test_the_options_of_a_model_hold_nothing_that_only_tables_show() -> None:
    """So that a new label or licence predicts nothing again."""
    options = small_plan().predict_options("nano-llama")
    assert "Llama" not in options
    assert "Apache" not in options


def test_nano_datasets_need_the_tokenizer_alone() -> None:
    files = small_plan().dataset_files("nano-base", "niah_single_2")
    assert all(name.startswith("resources/nano/tokenizer/") for name in files)


def test_essays_are_fetched_for_tasks_that_read_them() -> None:
    released = small_plan(
        protocol="released",
        material="english",
        models=["mamba2"],
        suites={"ruler": {"lengths": [1024]}, "depth": {"lengths": [2048, 4096]}},
    )
    (prompts,) = {dataset.prompts for dataset in released.datasets()}
    essay = released.dataset_files(prompts, "niah_single_2")
    repeat = released.dataset_files(prompts, "niah_single_1")
    assert "resources/external/essays/PaulGrahamEssays.json" in essay
    assert "resources/external/essays/PaulGrahamEssays.json" not in repeat
    assert "resources/external/ruler/prompts.json" in repeat


def test_a_question_task_names_its_file() -> None:
    corrected = small_plan(
        material="english",
        models=["mamba2"],
        suites={"ruler": {"lengths": [1024]}, "depth": {"lengths": [2048, 4096]}},
    )
    (prompts,) = {dataset.prompts for dataset in corrected.datasets()}
    assert "--questions resources/external/qa/squad" in corrected.dataset_options(prompts, "qa_1")


def test_hub_models_have_to_be_fetched() -> None:
    """What stands for a repository is written when all of its files are here."""
    released = small_plan(
        material="english",
        models=["transformerpp"],
        suites={"ruler": {"lengths": [1024]}, "depth": {"lengths": [2048, 4096]}},
    )
    files = released.model_files("transformerpp")
    commit = "15a431b71c40c284138c379d07d4008a28fea397"
    assert files == [
        f"resources/external/checkpoints/state-spaces--transformerpp-2.7b/{commit}/manifest.json",
        "resources/external/tokenizers/gpt-neox-20b/tokenizer.json",
    ]
    assert set(files) <= set(released.external_files())


def chatting(folder: Path) -> Plan:
    """A plan whose only model reads chats."""
    alter(folder / "models.yaml", "models", "nano-llama", "wrapper", value="chat")
    return plan.resolve(study_keys(models=["nano-llama"]), folder)


def test_a_chat_template_is_part_of_what_a_dataset_is_made_of(folder: Path) -> None:
    """It lies in a file of the tokenizer's folder, and writes the begin token itself."""
    made = chatting(folder)
    files = {Path(name).name for name in made.dataset_files("nano-chat", "vt")}
    assert files == {"tokenizer.json", "tokenizer_config.json"}
    assert "--wrapper chat" in made.dataset_options("nano-chat", "vt")
    assert "--no-begin-token" in made.predict_options("nano-llama")
    assert "--no-begin-token" not in small_plan().predict_options("nano-llama")


def test_a_template_in_a_file_of_its_own_counts_as_well(folder: Path, tmp_path: Path) -> None:
    for name in ("tokenizer.json", "chat_template.jinja", "README.md"):
        (tmp_path / "own").mkdir(exist_ok=True)
        (tmp_path / "own" / name).touch()
    alter(folder / "models.yaml", "tokenizers", "nano", "source", value=str(tmp_path / "own"))
    files = [Path(name).name for name in chatting(folder).dataset_files("nano-chat", "vt")]
    assert files == ["chat_template.jinja", "tokenizer.json"]


@pytest.mark.parametrize(
    ("model", "published"),
    [("sheared-llama", True), ("sheared-llama-it", True), ("recurrentgemma", False)],
)
def test_the_artifact_gave_some_models_no_begin_token(model: str, published: bool) -> None:
    """HAZARDS.md, 22: the pipeline of transformers before 4.43 left it out."""
    suites = {"ruler": {"lengths": [1024]}, "depth": {"lengths": [2048, 4096, 8192]}}
    options = {
        protocol: small_plan(
            protocol=protocol, material="english", models=[model], suites=suites
        ).predict_options(model)
        for protocol in ("released", "corrected")
    }
    assert ("--hazard no-begin-token" in options["released"]) == published
    assert "no-begin-token" not in options["corrected"]


def test_tables_are_told_the_wrapper_of_the_protocol() -> None:
    suites = {"ruler": {"lengths": [1024]}, "depth": {"lengths": [4096, 8192]}}
    shown = {
        protocol: small_plan(
            protocol=protocol, material="english", models=["sheared-llama"], suites=suites
        ).shown()[0]
        for protocol in ("released", "corrected")
    }
    assert shown["released"].wrapper == "sheared_llama-chat"
    assert shown["corrected"].wrapper == "base"


COMMIT, WORDS = "ab" * 20, "cd" * 20
ESSAYS = "resources/external/essays/PaulGrahamEssays.json"
PUNKT = "resources/external/nltk/punkt_tab/english"
SENTENCES = [
    f"{PUNKT}/{name}"
    for name in ("abbrev_types.txt", "collocations.tab", "ortho_context.tab", "sent_starters.txt")
]


def of_the_hub(folder: Path, protocol: str) -> Plan:
    """A plan of one model whose weights and tokenizer are repositories, with every setting."""
    path = folder / "models.yaml"
    alter(path, "tokenizers", "words", value={"source": "me/words"})
    alter(path, "models", "mamba2", "checkpoint", value="me/tiny")
    alter(path, "models", "mamba2", "tokenizer", value="words")
    locks.add(folder / locks.NAME, "me/tiny", Locked(revision=COMMIT))
    locks.add(folder / locks.NAME, "me/words", Locked(revision=WORDS))
    keys = {"ruler": {"lengths": [1024], "tasks": ["niah_single_2", "qa_1", "vt"]}}
    tables = [{"name": "mine", "suite": "ruler"}]
    asked = study_keys(
        protocol=protocol, material="english", models=["mamba2"], suites=keys, tables=tables
    )
    return plan.resolve(asked, folder)


@pytest.mark.parametrize("protocol", ["released", "corrected"])
def test_a_job_is_told_all_that_decides_its_result(protocol: str, folder: Path) -> None:
    """Its whole command: an option that is left out, a revision say, is another model, silently."""
    made = of_the_hub(folder, protocol)
    weights = f"--checkpoint me/tiny --revision {COMMIT} --dtype bfloat16 --backend needlework"
    reader = f"--tokenizer me/words --tokenizer-revision {WORDS} --protocol {protocol}"
    hazards = " --hazard mamba-sampling" if protocol == "released" else ""
    assert made.checkpoint_options("mamba2") == weights
    assert made.predict_options("mamba2") == f"{weights} {reader}{hazards}"
    (prompts,) = {dataset.prompts for dataset in made.datasets()}
    wording = "" if protocol == "released" else " --wording ruler"
    told = made.dataset_options(prompts, "vt").partition(" --protocol ")[2]
    assert told == (
        f"{protocol} --material english{wording} --seed 1 --samples 10 --tokenizer me/words "
        f"--revision {WORDS} --wrapper base"
    )


def test_a_job_depends_on_every_file_that_decides_its_result(folder: Path) -> None:
    """Sentences are split by tables of a library, which are files as well."""
    made = of_the_hub(folder, "released")
    (prompts,) = {dataset.prompts for dataset in made.datasets()}
    words = f"resources/external/tokenizers/me--words/{WORDS}/manifest.json"
    asked = "resources/external/ruler/prompts.json"
    wanted = {
        "niah_single_2": [words, asked, ESSAYS, *SENTENCES],
        "qa_1": [words, asked, made.dataset_files(prompts, "qa_1")[-1]],
        "vt": [words, asked],
    }
    assert {task: made.dataset_files(prompts, task) for task in wanted} == wanted
    assert Path(wanted["qa_1"][-1]).parent.name == "qa"
    weights = f"resources/external/checkpoints/me--tiny/{COMMIT}/manifest.json"
    assert made.model_files("mamba2") == [weights, words]


def test_the_published_tables_are_of_models_as_they_were_asked_then() -> None:
    """Sheared LLaMA had a chat format in the artifact, and has none where that is corrected."""
    wrappers = {model.name: model.wrapper for model in small_plan().published}
    assert wrappers["sheared-llama"] == "sheared_llama-chat"

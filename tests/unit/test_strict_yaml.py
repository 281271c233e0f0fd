"""What is written in a configuration is what is meant, or one line says that it is not."""

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from needlework.cluster.slurm import read_cluster
from needlework.errors import StudyError
from needlework.parsing import read, read_keys
from needlework.study import file, plan

ROOT = Path(__file__).parents[2]
STUDY: dict[str, Any] = {
    "study": "t",
    "seed": 42,
    "samples": 2,
    "protocol": "corrected",
    "material": "nano",
    "suites": {"ruler": {"lengths": [128]}},
    "models": ["nano-llama"],
}


def written(folder: Path, text: str) -> Path:
    path = folder / "file.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("path", sorted(ROOT.glob("config/**/*.yaml")), ids=lambda path: path.name)
def test_files_of_the_repository_read_as_before(path: Path) -> None:
    assert read(path) == yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("42", 42),
        ("-3", -3),
        ("0", 0),
        ("042", "042"),
        ("0x1f", "0x1f"),
        ("0o17", "0o17"),
        ("1_000", "1_000"),
        ("+5", "+5"),
        ("1:30", "1:30"),
        ("48:00:00", "48:00:00"),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("1.5e-3", 0.0015),
        ("01.5", "01.5"),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("true", True),
        ("False", False),
        ("yes", "yes"),
        ("on", "on"),
        ("No", "No"),
        ("off", "off"),
        ("null", None),
        ("~", None),
        ("", None),
        ("2024-01-01", "2024-01-01"),
        ("'42'", "42"),
        ("[yes, 042, 7]", ["yes", "042", 7]),
    ],
)
def test_a_plain_word_is_what_is_written(text: str, value: object, tmp_path: Path) -> None:
    found = read_keys(written(tmp_path, f"key: {text}\n"))["key"]
    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("samples: 2\nsamples: 500\n", "`samples` stands twice .*line 2"),
        ("models:\n  mine: {a: 1}\n  mine: {a: 2}\n", "`mine` stands twice .*line 3"),
        ("a: !!python/object:os.system x\n", "python/object.* is no type that is known here"),
        ("a: !!binary aGk=\n", "is no type that is known here"),
        ("a: !!timestamp 2024-99-99\n", "is no type that is known here"),
        ("a: !!int abc\n", "`abc` is no int"),
        ("a: !!int 042\n", "`042` is no int"),
        (f"a: {'9' * 5000}\n", "is not YAML: Exceeds the limit"),
        ("a: &a [*a]\n", "repeats itself inside of itself"),
        ("? [a, b]\n: 1\n", "a key must be a word"),
        # Newer parsers have a limit of their own, which brackets meet first.
        ("[" * 50_000, "more than 100 lists or keys inside of one another|maximum nesting depth"),
        ("- " * 50_000, "more than 100 lists or keys inside of one another"),
        ("a: [1\n", "is not YAML"),
        ("a: \x07\n", "is not YAML"),
    ],
)
def test_what_means_nothing_is_one_line(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=said) as caught:
        read(written(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_a_few_lines_do_not_become_a_billion_values(tmp_path: Path) -> None:
    names = "abcdefghij"
    lines = ["a: &a [1,1,1,1,1,1,1,1,1,1]"]
    for before, name in pairwise(names):
        lines.append(f"{name}: &{name} [{','.join([f'*{before}'] * 10)}]")
    with pytest.raises(
        StudyError, match=r"`\w` in line \d+ is too long: it stands for [\d,]{9,} values"
    ):
        read(written(tmp_path, "\n".join(lines)))


def test_repetitions_are_read_where_they_are_few(tmp_path: Path) -> None:
    text = "a: &shared {b: 1}\nc: {<<: *shared, d: 2}\n"
    assert read(written(tmp_path, text)) == {"a": {"b": 1}, "c": {"b": 1, "d": 2}}


def test_json_says_a_key_once_and_has_numbers_only(tmp_path: Path) -> None:
    for text, said in (
        ('{"a": 1, "a": 2}', "`a` stands twice"),
        ('{"a": NaN}', "NaN is no number"),
    ):
        (tmp_path / "file.json").write_text(text)
        with pytest.raises(StudyError, match=said):
            read(tmp_path / "file.json")


def lax(path: Path) -> dict[str, Any]:
    """The keys as Snakemake reads them."""
    return dict(yaml.safe_load(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("samples", "yes"),
        ("samples", "on"),
        ("samples", "true"),
        ("samples", "2.0"),
        ("samples", "'2'"),
        ("seed", "no"),
        ("seed", "042"),
        ("seed", "1:30"),
        ("seed", "0x2a"),
        ("seed", "1_0"),
        ("shards", "true"),
        ("suites", "{ruler: {lengths: [yes]}}"),
        ("suites", "{ruler: {lengths: [0128]}}"),
        ("suites", "{ruler: {lengths: [128, true]}}"),
        ("study", "true"),
        ("models", "[yes]"),
    ],
)
def test_a_study_is_what_its_file_says(key: str, text: str, tmp_path: Path) -> None:
    """And not what YAML 1.1 makes of it, which Snakemake hands on."""
    rest = {name: value for name, value in STUDY.items() if name != key}
    path = written(tmp_path, f"{json.dumps(rest)[:-1]}, {key}: {text}}}\n")
    keys = file.asked(lax(path), [path], {})
    with pytest.raises(StudyError, match=key) as caught:
        plan.resolve(keys, ROOT / "config")
    line = str(caught.value)
    assert "\n" not in line
    assert text.strip("'[]{}").split(" ")[-1].strip("[]{}") in line.lower()


def test_what_comes_from_config_lies_over_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, "a: 042\nb: {c: yes, d: 1}\n")
    given = {"b": {"d": 2}}
    config = lax(path)
    config["b"] = config["b"] | given["b"]
    assert file.asked(config, [path], given) == {"a": "042", "b": {"c": "yes", "d": 2}}


def test_the_configuration_of_a_module_is_its_own(tmp_path: Path) -> None:
    path = written(tmp_path, "a: 042\n")
    assert file.asked({"study": "theirs"}, [path], {}) == {"study": "theirs"}


def test_a_name_with_capitals_is_told_once_and_in_words() -> None:
    with pytest.raises(StudyError) as caught:
        plan.resolve(STUDY | {"models": ["Qwen2-1.5B"]}, ROOT / "config")
    assert str(caught.value) == (
        "study config: models.0: may hold small letters, digits, `_`, `.` and `-` only, and begins "
        "with one (got 'Qwen2-1.5B')"
    )


@pytest.mark.parametrize("text", ["True", "1", "2"])
def test_wrong_types_from_the_command_line_are_refused(text: str) -> None:
    value = {"True": True, "1": "1", "2": 2.0}[text]
    with pytest.raises(StudyError, match="samples: must be a whole number"):
        plan.resolve(STUDY | {"samples": value}, ROOT / "config")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("longest: 48:00:00", 2880),
        ("longest: 2-00:00:00", 2880),
        ("longest: 2-12", 3600),
        ("longest: 1-00:30", 1470),
        ("longest: 30:00", 30),
        ("longest: 1:30:59", 90),
        ("longest: infinite", None),
        ("longest: 2880", 2880),
        ("runtime: 4:00:00", 240),
    ],
)
def test_times_are_read_as_slurm_writes_them(text: str, found: int | None, tmp_path: Path) -> None:
    cluster = read_cluster(written(tmp_path, text))
    assert getattr(cluster, text.partition(":")[0]) == found


@pytest.mark.parametrize("key", ["account", "partition", "qos", "constraint", "gpu_model"])
@pytest.mark.parametrize("name", ["0123", "007", "1_2", "12345", "1e3x", "0x1f", "12:30"])
def test_digits_that_are_a_name_stay_one(key: str, name: str, tmp_path: Path) -> None:
    assert getattr(read_cluster(written(tmp_path, f"{key}: {name}")), key) == name


@pytest.mark.parametrize(
    "text",
    [
        "longest: tomorrow",
        "longest: 0:30",
        "longest: 0480",
        "longest: -5",
        "longest: true",
        "runtime: 1h",
        "cpus: yes",
        "cpus: 04",
        "memory: yes",
        "memory: 16G",
        "gpus: true",
        "account: true",
        "account: 1.50",
        "cpus: 1\ncpus: 2",
    ],
)
def test_what_a_cluster_cannot_mean_is_one_line(text: str, tmp_path: Path) -> None:
    key = text.partition(":")[0]
    with pytest.raises(StudyError, match=key) as caught:
        read_cluster(written(tmp_path, text))
    assert "\n" not in str(caught.value)


LONG = ", ".join(map(str, range(1_000_001)))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "place"),
    [
        (f"study: x\nsuites:\n  ruler:\n    lengths: [{LONG}]\n", "suites.ruler.lengths"),
        (f"study: x\nmodels:\n- [a, b]\n- [{LONG}]\n", "models"),
        (f"[{LONG}]", None),
    ],
    ids=["lengths", "models", "all"],
)
def test_what_is_too_long_is_named(tmp_path: Path, text: str, place: str | None) -> None:
    """Where a million lengths were asked for, line 1 was once said to stand for too much."""
    path = tmp_path / "long.yaml"
    path.write_text(text)
    with pytest.raises(StudyError) as told:
        read(path)
    where = rf"`{place}` in line [34]" if place else "it"
    assert re.match(rf"{path}: {where} is too long: it stands for more than", str(told.value))

"""Chat templates: the ids that transformers would feed, and one line where that cannot be."""

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import jinja2
import pytest
import tokenizers as library
import transformers
from tokenizers import decoders, normalizers, pre_tokenizers, processors
from tokenizers import models as kinds
from transformers.utils import chat_template_utils

from needlework import tokenizers
from needlework.cli import main
from needlework.errors import ResourceError
from needlework.files import read_records
from needlework.records import Sample
from needlework.tasks import chat

QUESTIONS = (
    "What is the magic number of sour-milk?",
    'A line.\n\nAnother  one:\t<b>"it\'s"</b> {x} {{y}} 漢字 [INST] x',
)
CHAT_ML = (
    "{% for message in messages %}{% if loop.first and message['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n' }}{% endif %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
LLAMA_2 = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    "{% for message in messages %}{{ bos_token + '[INST] ' + message['content'].strip() "
    "+ ' [/INST]' }}{% endfor %}"
)
GEMMA = (
    "{{ bos_token }}{% for message in messages %}{{ '<start_of_turn>' + message['role'] + '\n' "
    "+ message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)


def write(folder: Path, tokenizer: library.Tokenizer, special: list[str], **config: Any) -> Path:
    """A tokenizer folder as a hub repository has it."""
    tokenizer.add_special_tokens(special)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    sidecar = {"tokenizer_class": "PreTrainedTokenizerFast"} | config
    (folder / "tokenizer_config.json").write_text(json.dumps(sidecar))
    return folder


def qwen(folder: Path, template: str | None = CHAT_ML, **config: Any) -> Path:
    """Byte-level BPE without a begin token."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = library.Tokenizer(kinds.BPE({each: n for n, each in enumerate(letters)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    return write(
        folder, tokenizer, special, chat_template=template, eos_token="<|im_end|>", **config
    )


def marked(folder: Path, special: list[str], *, prepends: bool, **config: Any) -> Path:
    """Blanks as marks, bytes for what is unknown, and a begin token that is always added."""
    words = [
        "<unk>",
        *(f"<0x{byte:02X}>" for byte in range(256)),
        "\u2581",
        *"aeinstWo[]",
        "\u2581a",
    ]
    vocabulary = {word: number for number, word in enumerate(words)}
    tokenizer = library.Tokenizer(
        kinds.BPE(vocabulary, [("\u2581", "a")], unk_token="<unk>", byte_fallback=True)
    )
    replace = normalizers.Replace(" ", "\u2581")
    prepend = normalizers.Prepend("\u2581")
    tokenizer.normalizer = normalizers.Sequence([prepend, replace]) if prepends else replace
    tokenizer.add_special_tokens(special)
    begin = tokenizer.token_to_id(special[0])
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{special[0]} $A", special_tokens=[(special[0], begin)]
    )
    return write(folder, tokenizer, special, bos_token=special[0], eos_token=special[1], **config)


def llama(folder: Path) -> Path:
    special = ["<s>", "</s>"]
    return marked(folder, special, prepends=True, add_bos_token=True, chat_template=LLAMA_2)


def gemma(folder: Path) -> Path:
    """Its template lies in a file of its own, which comes before that of the sidecar."""
    special = ["<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"]
    made = marked(folder, special, prepends=False, chat_template="{{ 'old' }}")
    (made / "chat_template.jinja").write_text(GEMMA)
    return made


def bare(folder: Path) -> Path:
    """A tokenizer that adds a begin token, and a template that does not."""
    return qwen(folder, bos_token="<|endoftext|>", add_bos_token=True)


MAKERS = [qwen, llama, gemma, bare]


def upstream(folder: Path, question: str) -> list[int]:
    """What transformers feeds to the model."""
    tokenizer = transformers.PreTrainedTokenizerFast.from_pretrained(folder)
    messages = [{"role": "user", "content": question}]
    encoded = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=True)
    return list(encoded["input_ids"])


@pytest.mark.parametrize("make", MAKERS)
def test_the_ids_are_those_of_transformers(make: Callable[[Path], Path], tmp_path: Path) -> None:
    """Special tokens as such, and the begin token once, or not at all."""
    folder = make(tmp_path / "tokenizer")
    around = chat.wrapper(str(folder), revision=None)
    tokenizer = tokenizers.load(str(folder), begins=False)
    for question in QUESTIONS:
        text = around.before + question + around.after
        assert [*tokenizer.begin, *tokenizer.encode(text)] == upstream(folder, question)


@pytest.mark.parametrize(("make", "begins"), [(qwen, 0), (llama, 1), (gemma, 1)])
def test_elsewhere_the_tokenizer_adds_its_begin_token(
    make: Callable[[Path], Path], begins: int, tmp_path: Path
) -> None:
    """Said by the sidecar, or by a post-processor alone."""
    folder = make(tmp_path / "tokenizer")
    tokenizer = tokenizers.load(str(folder))
    assert len(tokenizer.begin) == begins
    theirs = transformers.PreTrainedTokenizerFast.from_pretrained(folder)
    assert [*tokenizer.begin, *tokenizer.encode("a saint")] == theirs("a saint")["input_ids"]


@pytest.mark.parametrize("make", MAKERS)
def test_a_dataset_counts_what_the_template_adds(
    make: Callable[[Path], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer begins where the template ends, after one line break and not two."""
    folder = make(tmp_path / "tokenizer")
    output = tmp_path / "niah_single_1.jsonl"
    words = "dataset --task niah_single_1 --length 2000 --samples 3 --seed 7 --wording plain"
    paths = ["--tokenizer", str(folder), "--output", str(output)]
    monkeypatch.setattr("sys.argv", ["needlework", *words.split(), "--wrapper", "chat", *paths])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert not stopped.value.code
    around = chat.wrapper(str(folder), revision=None)
    tokenizer = tokenizers.load(str(folder), begins=False)
    for sample in read_records(output, Sample):
        ids = tokenizer.encode(sample.input)
        assert 1900 < len(ids) + 128 == sample.length <= 2000
        end = around.after.removesuffix("\n") + "\nAnswer:"
        assert sample.input.startswith(around.before)
        question, found, _ = sample.input.removeprefix(around.before).partition(end)
        assert found
        assert question == question.strip()
        fed = upstream(folder, question)
        assert ids[: len(fed)] == fed


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{{ messages[0]['content'] | upper }}", "does not show the question once"),
        ("{{ messages[0]['content'] * 2 }}", "does not show the question once"),
        ("{{ messages[0]['content'] | e }}", "does not show the question once"),
        ("{{ messages[0]['content'] }}{{ messages[0]['content'] | length }}", "depends on"),
        ("{{ raise_exception('Only tools.') }}", r"cannot be rendered \(Only tools.\)"),
        ("{% for each in %}", "cannot be rendered"),
        ("{{ ''.__class__.__mro__ }}{{ messages[0]['content'] }}", "cannot be rendered"),
        (None, "has no chat template"),
    ],
)
def test_a_template_that_cannot_be_used_is_one_line(
    template: str | None, reason: str, tmp_path: Path
) -> None:
    """Among them one that reaches out of the sandbox."""
    folder = qwen(tmp_path, template)
    with pytest.raises(ResourceError, match=reason) as caught:
        chat.wrapper(str(folder), revision=None)
    assert "\n" not in str(caught.value)


OTHER = "{{ 'other' }}" + GEMMA
SEVERAL: dict[str, tuple[object, dict[str, str]]] = {
    "a list": ([{"name": "tools", "template": OTHER}, {"name": "default", "template": GEMMA}], {}),
    "one name twice": (
        [{"name": "default", "template": OTHER}, {"name": "default", "template": GEMMA}],
        {},
    ),
    "an object": ({"rag": OTHER, "default": GEMMA}, {}),
    "a file before the sidecar": (OTHER, {"chat_template.jinja": GEMMA}),
    "files": (
        OTHER,
        {"chat_template.jinja": GEMMA, "additional_chat_templates/tool_use.jinja": OTHER},
    ),
    "a default among the files": (
        None,
        {"chat_template.jinja": OTHER, "additional_chat_templates/default.jinja": GEMMA},
    ),
    "no default in a list": ([{"name": "rag", "template": OTHER}], {}),
    "no default among the files": (GEMMA, {"additional_chat_templates/rag.jinja": OTHER}),
}


@pytest.mark.parametrize("case", SEVERAL)
def test_of_several_templates_that_of_transformers_is_taken(case: str, tmp_path: Path) -> None:
    said, files = SEVERAL[case]
    folder = qwen(tmp_path, bos_token="<bos>")
    sidecar = folder / "tokenizer_config.json"
    sidecar.write_text(json.dumps(json.loads(sidecar.read_text()) | {"chat_template": said}))
    for name, template in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(template)
    theirs = transformers.PreTrainedTokenizerFast.from_pretrained(folder)
    messages = [{"role": "user", "content": "What?"}]
    if case.startswith("no default"):
        with pytest.raises(ValueError, match="no default"):
            theirs.apply_chat_template(messages, tokenize=False)
        with pytest.raises(ResourceError, match="by the names rag, and none is `default`"):
            chat.wrapper(str(folder), revision=None)
        return
    around = chat.wrapper(str(folder), revision=None)
    assert around.before == "<bos><start_of_turn>user\n"
    expected = theirs.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    assert around.before + "What?" + around.after == expected


def test_a_lone_file_has_no_template(tmp_path: Path) -> None:
    file = qwen(tmp_path) / "tokenizer.json"
    with pytest.raises(ResourceError, match="is one file and has no chat template"):
        chat.wrapper(str(file), revision=None)


def test_a_tokenizer_that_reads_special_tokens_as_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.model").touch()
    with pytest.raises(ResourceError, match=r"has no tokenizer\.json"):
        chat.wrapper(str(tmp_path), revision=None)


QWEN_3 = CHAT_ML.replace(
    "<|im_start|>assistant\n' }}",
    "<|im_start|>assistant\n' }}{% if enable_thinking is defined and enable_thinking is false %}"
    "{{ '<think>\n\n</think>\n\n' }}{% endif %}",
)
STARTS = CHAT_ML.replace("<|im_start|>assistant\n' }}", "<|im_start|>assistant\n<think>\n' }}")


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        (QWEN_3, r"lets the model think .*`template_options: \{enable_thinking: false\}`, or "),
        (STARTS, r"starts a thought \(<think>\)"),
    ],
)
def test_a_model_that_would_think_is_stopped(template: str, reason: str, tmp_path: Path) -> None:
    """Else its thoughts would fill the answer's tokens: a table of zeros."""
    folder = qwen(tmp_path, template)
    with pytest.raises(ResourceError, match=reason) as caught:
        chat.wrapper(str(folder), revision=None)
    assert 'reasoning: {end: "</think>", tokens: 2048}' in str(caught.value)
    assert "\n" not in str(caught.value)
    assert chat.wrapper(str(folder), revision=None, thinks=True).thinks


def test_a_template_is_told_its_options(tmp_path: Path) -> None:
    folder = qwen(tmp_path, QWEN_3)
    around = chat.wrapper(str(folder), revision=None, options={"enable_thinking": False})
    assert around.after.endswith("<|im_start|>assistant\n<think>\n\n</think>\n\n")
    with pytest.raises(ResourceError, match="asks for no enable_thoughts"):
        chat.wrapper(str(folder), revision=None, options={"enable_thoughts": False})


def test_where_a_model_thinks_first_the_answer_is_begun_in_the_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, output = qwen(tmp_path / "tokenizer", STARTS), tmp_path / "niah_single_1.jsonl"
    words = "dataset --task niah_single_1 --length 2000 --samples 1 --seed 7 --wording plain"
    paths = ["--tokenizer", str(folder), "--output", str(output)]
    given = [*words.split(), "--wrapper", "chat", "--thinks", *paths]
    monkeypatch.setattr("sys.argv", ["needlework", *given])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert not stopped.value.code
    (sample,) = read_records(output, Sample)
    assert sample.input.endswith(" is<|im_end|>\n<|im_start|>assistant\n<think>\n")


CONSTRUCTS = {
    "tools that are none": "{% if tools is not none %}You can call: {{ tools }}{% endif %}"
    "{% if documents is defined and documents %}Read: {{ documents }}{% endif %}",
    "tools as text": "[{{ tools }}|{{ documents }}]",
    "json": "{{ {'b': [1, 'é<'], 'a': none} | tojson }}",
    "json with indent": "{{ {'b': [1, {'c': 2}], 'a': true} | tojson(indent=2) }}",
    "json in order": "{{ {'b': 1, 'a': 'é'} | tojson(ensure_ascii=True, sort_keys=true) }}",
    "json tight": "{{ [1, 2] | tojson(separators=(',', ':')) }}",
    "generation": "{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}"
    "{{ m.content }}{% endgeneration %}{% endif %}{% endfor %}",
    "generation, shown": "{%- generation -%}\n  said {{ messages | length }}\n{%- endgeneration %}",
    "variables in generation": "{% set x = 'out' %}{% generation %}{% set x = 'in' %}{{ x }}"
    "{% endgeneration %}{{ x }}",
    "a date": "{{ strftime_now('%d %b %Y') }}",
    "a date by default": "{%- if not date_string is defined %}{%- if strftime_now is defined %}"
    "{%- set date_string = strftime_now('%d %b %Y') %}{%- else %}"
    "{%- set date_string = '1 Jan 2000' %}{%- endif %}{%- endif %}{{ date_string }}",
    "an exception that is not raised": "{% if messages[0].role != 'user' %}"
    "{{ raise_exception('must begin with a user') }}{% endif %}",
    "namespace": "{% set ns = namespace(found=false, n=0) %}{% for m in messages %}"
    "{% set ns.found = true %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.found }}{{ ns.n }}",
    "namespace with odd names": "{% set ns = namespace(self=1, x_='b', **{'a b': 2}) %}"
    "{{ ns.self }}{{ ns.x_ }}{{ ns['a b'] }}",
    "loop controls": "{% for i in range(9) %}{% if i == 2 %}{% continue %}{% endif %}"
    "{% if i > 4 %}{% break %}{% endif %}{{ i }}{% endfor %}",
    "system by default": "{% if messages[0]['role'] == 'system' %}{{ messages[0]['content'] }}"
    "{% else %}{{ '<|im_start|>system\\nYou are helpful.<|im_end|>\\n' }}{% endif %}",
    "an end token inside": "{{ bos_token }}{{ 'x' + eos_token }}{{ pad_token }}",
    "a token that is not there": "[{{ unk_token }}][{{ cls_token is defined }}]",
    "thinking": "{% if enable_thinking is defined and enable_thinking is false %}"
    "{{ '<think>\\n\\n</think>\\n\\n' }}{% else %}{{ '<think>' }}{% endif %}",
    "macro": "{% macro turn(role, text='') -%}<{{ role }}>{{ text }}</{{ role }}>{%- endmacro %}"
    "{{ turn('system', 'Read.') }}{{ turn(role='tool') }}",
    "white space": "  {%- if true -%}  a  {% endif %}  \n   {% if true %}\n  b\n   {% endif %}\n c",
    "blocks that are trimmed": "{% for m in messages %}\n    {{ m.role }}\n{% endfor %}\n  end\n",
    "a comment": "{# said nowhere #}\n{#- nor here -#}  x",
    "filters": "{{ messages | map(attribute='role') | join(', ') | title }}"
    "{{ messages | selectattr('role', 'equalto', 'user') | list | length }}",
    "a reversed list": "{{ messages[::-1] | length }}{{ 'a-b'.split('-') | last }}",
    "a call to dict": "{{ dict(a=1, b='c') | tojson }}{{ dict.fromkeys('ab', 1) }}",
    "neighbours in a loop": "{% for m in messages %}{{ loop.index0 }}{{ loop.previtem is defined }}"
    "{{ loop.nextitem is defined }}{{ loop.cycle('a', 'b') }}{% endfor %}",
    "text or parts": "{% for m in messages %}{% if m.content is string %}text{% else %}"
    "{% for part in m.content %}{{ part.text }}{% endfor %}{% endif %}{% endfor %}",
    "a block that is set": "{% set head %}  You are {{ bos_token }}\n{% endset %}{{ head | trim }}",
    "a call with a block": "{% macro box(t) %}[{{ t }}{{ caller() }}]{% endmacro %}"
    "{% call box('s') %} in {% endcall %}",
    "a macro that calls itself": "{% macro down(n) %}{{ n }}{% if n %}{{ down(n - 1) }}{% endif %}"
    "{% endmacro %}{{ down(3) }}",
    "a counter in a macro": "{% set ns = namespace(n=0) %}{% macro more() %}"
    "{% set ns.n = ns.n + 1 %}{% endmacro %}{{ more() }}{{ more() }}{{ ns.n }}",
    "raw": "{% raw %}{{ not }} {% if %}{% endraw %}",
    "line ends of Windows": "{% if true %}\r\nA\r\n{% endif %}\r\n",
    "a plus that keeps blanks": "  {%+ if true %}x{% endif +%}\n y",
    "what the last turns hold": "{% for m in messages[::-1] %}"
    "{{ (messages | length - 1) - loop.index0 }}{{ m.get('tool_calls') }}{{ 'name' in m }}"
    "{{ m.tool_calls is defined }}{% endfor %}",
    "numbers": "{{ 1 / 3 }}{{ 7 // 2 }}{{ 2 ** 10 }}{{ '5' | int + 1 }}{{ 2.567 | round(1) }}",
    "letters": "<\uff5cbegin\u2581of\u2581sentence\uff5c>\U0001f642{{ '\\u00e9' }}{{ '<' | e }}",
    "dates in words": "{{ strftime_now('%A, %B %d, %Y') }}",
    "groups": "{{ messages | groupby('role') | length }}{{ [3, 1] | sort | first }}"
    "{% for k, v in {'b': 1, 'a': 2} | dictsort %}{{ k }}{{ v }}{% endfor %}",
    "a thought that is cut off": "{% for m in messages %}{% if '</think>' in m.content %}"
    "{{ m.content.split('</think>')[-1].lstrip('\\n') }}{% endif %}{% endfor %}",
}
CONTENT = (
    "{% for m in messages %}{{ '<|' + m['role'] + '|>' + m['content'] | trim + '\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}"
)


class Clock(datetime):
    """A clock that stands still."""

    @classmethod
    def now(cls, tz: object = None) -> datetime:
        return chat.TODAY


@pytest.mark.parametrize("behind", [True, False])
@pytest.mark.parametrize("name", CONSTRUCTS)
def test_a_template_is_rendered_as_transformers_renders_it(
    name: str, behind: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Byte by byte, for what templates in the wild are made of, before the question or behind."""
    monkeypatch.setattr(chat_template_utils, "datetime", Clock)
    parts = [CONTENT, CONSTRUCTS[name]] if behind else [CONSTRUCTS[name], CONTENT]
    folder = qwen(tmp_path, "".join(parts), bos_token="<|endoftext|>", pad_token="<|endoftext|>")
    around = chat.wrapper(str(folder), revision=None, thinks=True)
    theirs = transformers.PreTrainedTokenizerFast.from_pretrained(folder)
    for question in QUESTIONS:
        messages = [{"role": "user", "content": question}]
        expected = theirs.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        assert around.before + question + around.after == expected


@pytest.mark.parametrize(
    "refused",
    [
        "{% set ns = namespace(_x=1) %}",
        "{% set ns = namespace({'_x': 1}) %}",
        "{% set ns = namespace(x=1) %}{% set ns._x = 2 %}",
        "{% set ns = namespace(__class__=1) %}",
    ],
)
def test_what_transformers_refuses_in_a_namespace_is_refused(refused: str, tmp_path: Path) -> None:
    folder = qwen(tmp_path, refused + CONTENT)
    theirs = transformers.PreTrainedTokenizerFast.from_pretrained(folder)
    with pytest.raises(jinja2.exceptions.SecurityError, match="underscore"):
        theirs.apply_chat_template([{"role": "user", "content": "x"}], tokenize=False)
    with pytest.raises(
        ResourceError, match=r"cannot be rendered .*underscore.*name a fixed wrapper"
    ):
        chat.wrapper(str(folder), revision=None)


def test_a_template_that_is_not_text_is_one_line(tmp_path: Path) -> None:
    folder = qwen(tmp_path)
    (folder / "chat_template.jinja").write_bytes(CONTENT.encode() + b"\xff\xfe")
    with pytest.raises(ResourceError, match="is not a chat template that can") as caught:
        chat.wrapper(str(folder), revision=None)
    assert "\n" not in str(caught.value)

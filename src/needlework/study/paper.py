"""What the tables of arXiv:2407.08112 show: models, tasks, formats and depths."""

TASKS = (
    "niah_single_1",
    "niah_single_2",
    "niah_single_3",
    "niah_multikey_1",
    "niah_multikey_2",
    "niah_multikey_3",
    "niah_multivalue",
    "niah_multiquery",
    "vt",
    "cwe",
    "fwe",
    "qa_1",
    "qa_2",
)
"""The RULER tasks, in the order of their tables."""

MODELS = (
    "mamba2",
    "mamba2attn",
    "transformerpp",
    "recurrentgemma",
    "sheared-llama",
    "rwkv6",
    "recurrentgemma-it",
    "sheared-llama-it",
)
"""The models of its tables, by their names in config/models.yaml."""

SCORES = ("ruler", "depth", "format")
"""Its published scores: `resources/published/NAME.csv`."""

SAMPLES = 250
"""Samples behind each of them."""

FORMATS = ("essay-word-num", "essay-word-uuid", "repeat-word-num")
DEPTHS = (0, 20, 40, 50, 60, 80, 100)
FORMAT_DEPTHS = (0, 50, 100)

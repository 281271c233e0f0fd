"""What others could write into a label, an answer or a path to be more than text."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import study_for_tests

SCRIPT = "window.HIT=1"
LABELS = (
    f"A|B_50% & <b>x</b></script><script>{SCRIPT}</script>",
    f'"><img src=x onerror={SCRIPT}>',
    f"[x](javascript:{SCRIPT}) ![y](http://attacker.test/y.png)",
    "`code` *bold* _x_ ~~y~~ <!-- {{ 7 * 7 }} -->",
    r"\input{/etc/passwd}$x^2$\write18{id} %",
    f"--><svg onload={SCRIPT}> ]]> &lt;b&gt; &#60;i&#62;",
    f"a\\|b| c \\` d {{% raw %}} ' {SCRIPT} //",
    f"<svg><foreignObject><body onload={SCRIPT}></foreignObject></svg> $$\\csname x ^^5c",
    f"</td></tr></table></text></g><a href=javascript:{SCRIPT}>x</a> # 1. - > [^1]: www.a.test",
    r"{{ self }} << x >> {# y #} \end{tabular}\immediate http://a.test/?a=1&copy;|",
    f"'-{SCRIPT}-' ${{x}} %0a &#x3c;script&#x3e; <!--<script> ||||| \\|| ~~~ ``|``",
)
ANSWER = f"</script><script>{SCRIPT}</script><img src=x onerror={SCRIPT}>\u2028\x00\n| a | b |"


def shell_words(trap: Path) -> tuple[str, ...]:
    """Names under which a shell that reads them makes the file `trap`."""
    made = f"touch {trap}"
    return (
        f"$({made})",
        f"`{made}`",
        f"x;{made};",
        f"x\n{made}\n",
        f"' ; {made} ; '",
        f'" ; {made} ; "',
        f"$({made.replace(' ', '$IFS')})",
        f"x&{made}&",
        f"x|{made}",
        f"x>{trap}",
        f"<({made})",
        f"x\\\n{made}\n#",
        f"%s%n ${{IFS}}$({made}) *?[a]{{a,b}}!",
        f"x\\' ; {made} ; \\'",
        f"$'x\\n'`{made}`~",
        f"x\r\n{made}\r\n",
        f"'\"'\"';{made};'\"'\"'",
        f"x || {made} && : $[ $({made}) ]",
    )


def hostile_config(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let small plans be made with a catalogue whose every text is hostile."""
    catalogue = yaml.safe_load((study_for_tests.CONFIG / "models.yaml").read_text("utf-8"))
    for place, entry in enumerate(catalogue["models"].values()):
        entry["label"] = LABELS[place % len(LABELS)] + " " * (place // len(LABELS)) + "."
        entry["licence"] = LABELS[-1 - place % len(LABELS)]
    copy(folder, catalogue)
    monkeypatch.setattr(study_for_tests, "CONFIG", folder)


def copy(folder: Path, catalogue: dict[str, Any]) -> None:
    """The configuration with another catalogue of models."""
    for path in study_for_tests.CONFIG.rglob("*.yaml"):
        target = folder / path.relative_to(study_for_tests.CONFIG)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    (folder / "models.yaml").write_text(json.dumps(catalogue), encoding="utf-8")

"""The explorer as a person uses it: opened from disk in a browser, clicked through, looked up."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import polars as pl
import pytest
from click.testing import CliRunner

from needlework.analysis.why import range_of
from needlework.cli import cli
from needlework.parsing import parse, read
from needlework.report.explorer.page import write_explorer
from needlework.study.grid import Grid
from needlework.study.presentation import Shown
from needlework.study.shown import ShownModel
from tests.browser_for_tests import Browser, chromium
from tests.whole_study_for_tests import make_study

pytestmark = pytest.mark.skipif(
    chromium() is None, reason="needs a browser: apt-get install chromium"
)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    make_study(folder, samples=6)
    return folder / "nano"


@pytest.fixture(scope="module")
def page(study: Path) -> str:
    output = study.with_name("explorer.html")
    parts = ("grid", "models", "shown")
    options = [word for part in parts for word in (f"--{part}", study / f"plan/{part}.json")]
    arguments = ["explorer", study, output, *options]
    done = CliRunner().invoke(cli, list(map(str, arguments)), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return output.as_uri()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def browser(running: Browser) -> Iterator[Browser]:
    """After every test: no error in the console, and no request but for the page itself."""
    running.open("about:blank")
    running.errors.clear()
    running.requests.clear()
    yield running
    assert running.errors == []
    assert all(url.startswith("file:") for url in running.requests)


def visit(browser: Browser, url: str) -> None:
    """Opens a page anew and waits for its view."""
    browser.open("about:blank")
    browser.wait("location.href === 'about:blank'")
    browser.open(url)
    browser.wait("document.querySelector('main h1') !== null")


def heading(browser: Browser, text: str) -> None:
    """Waits until the page is headed so."""
    assert browser.wait(f"document.querySelector('main h1')?.innerText.startsWith({text!r})")


def test_a_number_leads_to_its_cells_and_on_to_a_sample(browser: Browser, page: str) -> None:
    browser.open(f"{page}#?table=1")
    heading(browser, "Study nano")
    browser.run("document.querySelectorAll('td.number a')[1].click()")
    heading(browser, "Mamba2: 13 cells")
    browser.run("[...document.querySelectorAll('tbody a')].find(a => a.innerText === 'vt').click()")
    heading(browser, "Mamba2, vt, 256 tokens")
    browser.run("[...document.querySelectorAll('tbody a')].find(a => a.innerText === '#2').click()")
    heading(browser, "Sample 2 of Mamba2: vt, 256 tokens")
    shown = browser.run("document.querySelector('main').innerText")
    assert "characters left out" in shown
    assert "depth" in shown
    assert "tokens read" in shown
    assert "[object" not in shown
    assert browser.run("document.querySelectorAll('mark.needle').length") >= 1
    assert browser.run("document.querySelectorAll('.prompt mark.question').length") == 1


def test_an_address_opens_what_it_was_copied_from(browser: Browser, page: str) -> None:
    browser.open(f"{page}#nano-llama/depth/256/niah_essay_numbers_40/3?with=nano-mamba2")
    heading(browser, "Sample 3 of Llama: niah_essay_numbers_40")
    heads = browser.run("[...document.querySelectorAll('.sides h2')].map(h => h.innerText)")
    assert heads == ["Llama", "Mamba2"]


def test_the_links_of_the_claims_open_cells(browser: Browser, page: str) -> None:
    browser.open(f"{page}#nano-mamba2/depth/512")
    heading(browser, "Mamba2: 21 cells")


def choose(browser: Browser, label: str, value: str) -> None:
    """Picks an entry of the list with that label, as a person would."""
    labels = "[...document.querySelectorAll('label')]"
    browser.wait(f"{labels}.some(each => each.innerText.startsWith({label!r}))")
    browser.run(
        "{const list = [...document.querySelectorAll('label')]"
        f".find(label => label.innerText.startsWith({label!r})).querySelector('select');"
        f"list.value = {value!r}; list.dispatchEvent(new Event('change'));}}"
    )


@pytest.mark.parametrize(
    ("start", "label", "value", "head"),
    [
        ("nano-llama/ruler/128/vt", "model", "nano-mamba2", "Mamba2, vt, 128 tokens"),
        ("nano-llama/ruler/128/vt", "length", "512", "Llama, vt, 512 tokens"),
        ("nano-llama/ruler/128/vt", "task", "cwe", "Llama, cwe, 128 tokens"),
        ("nano-llama/ruler/128/vt", "task", "", "Llama, ruler, 128 tokens"),
        ("nano-llama/ruler/128/vt", "length", "", "Llama, ruler, vt, all lengths"),
        ("nano-llama/ruler/128/vt", "suite", "", "Llama, all suites, all lengths"),
        ("nano-llama/ruler?show=samples&task=vt", "length", "512", "Llama, vt, 512 tokens"),
        ("nano-llama/ruler/128?show=samples", "task", "vt", "Llama, vt, 128 tokens"),
        ("nano-llama?show=samples", "suite", "depth", "Llama, depth, all lengths"),
        ("nano-llama/depth?show=samples", "depth", "40", "Llama, depth, depth 40, all lengths"),
        ("nano-llama/depth/256?show=samples", "model", "nano-mamba2", "Mamba2, depth, 256 tokens"),
        ("nano-llama/depth/256", "depth", "40", "Llama: 3 cells"),
        ("nano-llama/depth/256", "format", "repeat-word-num", "Llama: 7 cells"),
        ("nano-llama", "suite", "ruler", "Llama: 39 cells"),
        ("nano-llama/ruler", "task", "vt", "Llama: 3 cells"),
        ("nano-llama/ruler/256", "task", "vt", "Llama: 1 cell"),
    ],
)
def test_every_list_narrows_what_is_shown(
    browser: Browser, page: str, start: str, label: str, value: str, head: str
) -> None:
    browser.open("about:blank")
    browser.open(f"{page}#{start}")
    browser.wait("document.querySelector('main form') !== null")
    choose(browser, label, value)
    heading(browser, head)


def test_two_models_are_compared_where_they_differ(browser: Browser, page: str) -> None:
    browser.open(f"{page}#nano-llama/ruler/256/vt")
    heading(browser, "Llama, vt")
    choose(browser, "compare with", "nano-transformerpp")
    browser.wait("location.hash.includes('with=nano-transformerpp')")
    browser.wait("document.querySelector('thead').innerText.includes('score of TPP')")
    choose(browser, "outcome", "differ")
    browser.wait("location.hash.includes('outcome=differ')")
    pairs = (
        "[...document.querySelectorAll('tbody tr')]"
        ".map(row => [row.children[1].innerText, row.children[5].innerText])"
    )
    browser.wait(f"{pairs}.every(([mine, theirs]) => mine !== theirs)")
    assert 0 < len(browser.run(pairs)) <= 6


def test_a_sample_shows_what_was_hidden_where_and_what_reading_it_took(
    browser: Browser, page: str
) -> None:
    browser.open("about:blank")
    browser.open(f"{page}#nano-llama/ruler/512/qa_1/2")
    heading(browser, "Sample 2 of Llama: qa_1, 512 tokens")
    needle = browser.run("document.querySelector('.prompt mark.needle').innerText")
    reference = browser.run(
        "[...document.querySelectorAll('h2')].find(h => h.innerText === 'References')"
        ".nextElementSibling.innerText"
    )
    assert reference in needle
    assert re.search(r"depth [\d.]+ %, from token \d+ on$", needle)
    assert browser.run("document.querySelectorAll('.fold').length") >= 1
    note = browser.run("document.querySelector('.prompt + .note').innerText")
    assert "Tokens are counted" in note
    assert "line 3 of data/nano-base/512/qa_1.jsonl" in note
    assert "qa_1.jsonl" in browser.run("document.querySelector('.fold').title")
    facts = browser.run("document.querySelector('dl').innerText")
    assert re.search(r"stopped by\s+(the token limit|a failure)", facts)
    assert re.search(r"tokens read\s+507, with 1 special token\s", facts)
    assert re.search(r"shared\s+253 of them", facts)
    assert re.search(r"tokens written\s+5", facts)


def test_the_way_back_is_the_way_one_came(browser: Browser, page: str) -> None:
    browser.open("about:blank")
    browser.open(f"{page}#nano-llama/ruler/128/qa_1?outcome=right")
    heading(browser, "Llama, qa_1")
    browser.wait("document.querySelector('tbody a') !== null")
    browser.run("document.querySelector('tbody a').click()")
    heading(browser, "Sample")
    browser.run("history.back()")
    heading(browser, "Llama, qa_1")
    assert browser.run("location.hash").endswith("qa_1?outcome=right")


def test_a_person_without_a_mouse_reaches_search_and_leaves_it(browser: Browser, page: str) -> None:
    """Escape leaves the box with what was typed in it, and the list as it was."""
    visit(browser, f"{page}#nano-llama/ruler/128/vt?search=so")
    browser.press("/")
    browser.wait("document.activeElement.name === 'search'")
    browser.press("Escape")
    browser.wait("document.activeElement.tagName === 'H1'")
    assert browser.run("document.querySelector('[name=search]').value") == "so"
    assert browser.run("location.hash").endswith("vt?search=so")


def test_samples_are_filtered_by_outcome(browser: Browser, page: str) -> None:
    browser.open(f"{page}#nano-transformerpp/ruler/256/vt")
    heading(browser, "TPP, vt")
    outcomes = "[...document.querySelectorAll('tbody td:nth-child(2)')].map(cell => cell.className)"
    everything = browser.run(outcomes)
    choose(browser, "outcome", "part")
    browser.wait("location.hash.includes('outcome=part')")
    browser.wait(f"{outcomes}.every(name => name === 'number part')")
    partly = browser.run(outcomes)
    assert len(partly) == everything.count("number part")
    assert 0 < len(partly) < len(everything)


def test_keys_step_through_the_samples(browser: Browser, page: str) -> None:
    browser.open(f"{page}#nano-llama/ruler/128/qa_1/1")
    heading(browser, "Sample 1")
    browser.press("j")
    heading(browser, "Sample 2")
    browser.press("k")
    heading(browser, "Sample 1")
    browser.press("u")
    heading(browser, "Llama, qa_1")


def test_what_a_model_wrote_is_text_and_never_markup(browser: Browser, page: str) -> None:
    """Predictions end in `</b> & so on`."""
    browser.open(f"{page}#nano-llama/ruler/128/qa_1/0")
    heading(browser, "Sample 0")
    assert "</b> & so on" in browser.run("document.querySelector('.sides').innerText")


@pytest.mark.parametrize(
    ("address", "head"),
    [
        ("%zz", "There is no model %zz in study nano."),
        ("100%", "There is no model 100% in study nano."),
        ("nobody/ruler", "There is no model nobody in study nano."),
        ("nano-llama/%", "There is no suite % in study nano at nano-llama."),
        ("nano-llama/ruler/99", "There is no length 99 in study nano at nano-llama/ruler."),
        ("nano-llama/ruler/128/x", "There is no task x in study nano at nano-llama/ruler/128."),
        ("nano-llama/ruler?task=x", "There is no cell of Llama with task x."),
        ("nano-llama/depth?depth=41", "There is no cell of Llama with depth 41."),
        ("nano-llama/ruler/128/vt?outcome=x", "There is no outcome x."),
        ("nano-llama/ruler/128/vt/3?with=x", "There is no model x that answers the samples of"),
        ("nano-llama/ruler/128/vt/99", "There is no sample 99 of Llama, vt, 128 tokens."),
        ("nano-llama/ruler/128/vt/1e0", "There is no sample 1e0 of Llama, vt, 128 tokens."),
        ("?table=5", "There is no table 5 in study nano."),
        ("?table=1e0", "There is no table 1e0 in study nano."),
        ("?model=x", "There is no model x in study nano."),
        ("?suite=x", "There is no picture of suite x in study nano."),
        ("nano-llama/ruler?show=samples&kind=x", "There is no kind of answer x."),
        ("nano-llama/ruler?show=samples&page=0", "There is no page 0."),
        ("nano-llama/ruler?show=samples&depth=40", "There is no cell of Llama with depth 40."),
    ],
)
def test_an_address_that_leads_nowhere_says_so_and_leads_back(
    browser: Browser, page: str, address: str, head: str
) -> None:
    """Half a percent sign once left the page as it was, with an error in the console."""
    visit(browser, f"{page}#{address}")
    heading(browser, head)
    assert browser.run("document.querySelector('main table')") is None
    browser.run("document.querySelector('main a').click()")
    browser.wait("document.querySelector('main h1').innerText === 'Study nano'")


def test_where_nothing_passes_the_filters_all_samples_are_offered(
    browser: Browser, page: str
) -> None:
    visit(browser, f"{page}#nano-llama/ruler/128/vt?search=%")
    heading(browser, "Llama, vt")
    assert "No sample passes these filters." in browser.run(
        "document.querySelector('main').innerText"
    )
    assert browser.run("document.querySelector('main table')") is None
    browser.run("document.querySelector('main form + p a').click()")
    browser.wait("document.querySelectorAll('tbody tr').length === 6")


def test_the_average_of_a_task_opens_cells_of_that_mean(browser: Browser, page: str) -> None:
    visit(browser, f"{page}#?table=14")
    shown = browser.run("document.querySelector('tbody tr td:last-child a').innerText")
    browser.run("document.querySelector('tbody tr td:last-child a').click()")
    heading(browser, "Mamba2: 3 cells")
    assert f"Mean of these cells: {shown} %." in browser.run(
        "document.querySelector('main').innerText"
    )
    browser.press("u")
    browser.wait("location.hash === '#?table=14'")


def test_a_table_carries_its_remarks(browser: Browser, page: str) -> None:
    """It once explained its bold numbers by a line of its own, which was false."""
    visit(browser, f"{page}#?table=2")
    notes = browser.run("[...document.querySelectorAll('p.note')].map(note => note.innerText)")
    assert any(note.startswith(("Bold: the best score of", "No score is bold:")) for note in notes)
    assert any(note.startswith("† Samples that failed and score zero") for note in notes)
    assert "†" in browser.run("document.querySelector('main tbody').innerText")


@pytest.mark.parametrize("text", ["& so", "?", "+", "%41", "#/%", "</B>"])
def test_whatever_is_typed_is_searched_for(browser: Browser, page: str, text: str) -> None:
    visit(browser, f"{page}#nano-llama/ruler/128/vt")
    browser.press("/")
    browser.wait("document.activeElement.name === 'search'")
    browser.call("Input.insertText", text=text)
    found = 6 if text in ("& so", "</B>") else 0
    browser.wait(f"document.querySelectorAll('tbody tr').length === {found}")
    assert browser.run("document.activeElement.value") == text
    address = browser.run("location.href")
    visit(browser, address)
    assert browser.run("document.querySelector('[name=search]').value") == text
    assert browser.run("document.querySelectorAll('tbody tr').length") == found


def test_addresses_are_read_as_they_were_written(browser: Browser, page: str) -> None:
    visit(browser, page)
    route = {"model": "a/b ?#%41", "suite": "ü+", "length": None, "task": None, "sample": None}
    filters = {"task": "x&y=?#+ %41"}
    script = f"parseRoute(address({json.dumps(route)}, {json.dumps(filters)}))"
    assert browser.run(script) == route | {"filters": filters}


def click(browser: Browser, selector: str) -> None:
    """Presses and releases the mouse in the middle of an element."""
    script = f"document.querySelector({selector!r}).getBoundingClientRect().toJSON()"
    box = browser.run(script)
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    for kind in ("mousePressed", "mouseReleased"):
        browser.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)


def test_a_result_can_be_clicked_right_after_a_search(browser: Browser, page: str) -> None:
    """Leaving the box once rendered the list again, between pressing the mouse and releasing it."""
    visit(browser, f"{page}#nano-llama/ruler/128/vt")
    click(browser, "[name=search]")
    browser.call("Input.insertText", text="so")
    browser.wait("location.hash.endsWith('search=so')")
    click(browser, "tbody tr:nth-child(3) a")
    heading(browser, "Sample 2 of Llama")


def test_the_focus_stays_on_what_was_used(browser: Browser, page: str) -> None:
    visit(browser, f"{page}#nano-llama/ruler/128/vt")
    browser.run("document.querySelector('[name=outcome]').focus()")
    choose(browser, "outcome", "right")
    browser.wait("document.title.includes('outcome right')")
    assert browser.run("document.activeElement.name") == "outcome"
    browser.run("document.querySelector('[name=search]').focus()")
    for letter in "so":
        browser.call("Input.insertText", text=letter)
        browser.wait(f"location.hash.endsWith({letter!r})")
    assert browser.run("document.activeElement.value") == "so"


def test_a_new_view_is_shown_from_its_top_with_the_focus_on_its_heading(
    browser: Browser, page: str
) -> None:
    size = {"width": 1300, "height": 300, "deviceScaleFactor": 1, "mobile": False}
    browser.call("Emulation.setDeviceMetricsOverride", **size)
    visit(browser, f"{page}#nano-llama")
    browser.run("scrollTo(0, 200)")
    browser.run("document.querySelector('tbody a').focus({preventScroll: true})")
    browser.run("document.activeElement.click()")
    heading(browser, "Llama, ")
    room = browser.run("document.documentElement.scrollHeight - innerHeight")
    focused, top = browser.run("[document.activeElement.tagName, scrollY]")
    browser.call("Emulation.clearDeviceMetricsOverride")
    assert room > 100
    assert (focused, top) == ("H1", 0)


def test_only_keys_that_work_are_announced_and_taken(browser: Browser, page: str) -> None:
    keys = "document.getElementById('keys').innerText"
    event = "new KeyboardEvent('keydown', {key: KEY, bubbles: true, cancelable: true})"
    taken = f"!document.body.dispatchEvent({event})"
    wanted = {
        "": "",
        "nano-llama": "u up",
        "nano-llama/ruler/128/vt": "u up · / search",
        "nano-llama/ruler/128/vt/1": "j next · k previous · u up",
        "nano-llama/ruler/128/vt/5": "k previous · u up",
    }
    for address, announced in wanted.items():
        visit(browser, f"{page}#{address}")
        assert browser.run(keys) == announced
        for key in ("ArrowRight", "ArrowLeft", "Escape", "j" if "j" not in announced else "x"):
            assert browser.run(taken.replace("KEY", repr(key))) is False, key


def test_a_model_is_not_compared_with_itself(browser: Browser, page: str) -> None:
    visit(browser, f"{page}#nano-llama/ruler/128/vt/3?with=nano-mamba2")
    choose(browser, "model", "nano-mamba2")
    heading(browser, "Sample 3 of Mamba2")
    assert browser.run("location.hash") == "#nano-mamba2/ruler/128/vt/3"
    visit(browser, f"{page}#nano-llama/ruler/128/vt/3?with=nano-llama")
    assert browser.run("document.querySelectorAll('.sides section').length") == 1


def test_who_differs_from_nobody_is_not_asked(browser: Browser, page: str) -> None:
    visit(browser, f"{page}#nano-llama/ruler/128/vt?outcome=differ")
    assert browser.run("document.querySelectorAll('tbody tr').length") == 6
    options = "[...document.querySelector('[name=outcome]').options].map(option => option.value)"
    assert "differ" not in browser.run(options)
    visit(browser, f"{page}#nano-llama/ruler/128/vt?outcome=differ&with=nano-mamba2")
    assert "differ" in browser.run(options)
    choose(browser, "compare with", "")
    browser.wait("location.hash === '#nano-llama/ruler/128/vt'")


@pytest.fixture(scope="module")
def failed(study: Path) -> dict[str, str]:
    """A sample of a RULER task that one model failed and Llama did not."""
    scores = pl.read_parquet(study / "scores.parquet").filter(pl.col("suite") == "ruler")
    place = ["length", "task", "index"]
    answered = scores.filter((pl.col("model") == "nano-llama") & pl.col("error").is_null())
    lost = scores.filter((pl.col("model") != "nano-llama") & pl.col("error").is_not_null())
    return lost.join(answered.select(place), on=place).row(0, named=True)


def test_a_failure_is_found_by_its_message_and_never_called_missing(
    browser: Browser, page: str, failed: dict[str, str]
) -> None:
    cell = f"ruler/{failed['length']}/{failed['task']}"
    visit(browser, f"{page}#nano-llama/{cell}?with={failed['model']}")
    row = f"[...document.querySelectorAll('tbody tr')][{failed['index']}]"
    assert browser.run(f"{row}.children[7].innerText") == "failed"
    visit(browser, f"{page}#{failed['model']}/{cell}?search={quote('not numbers')}")
    numbers = "[...document.querySelectorAll('tbody th')].map(cell => cell.innerText)"
    assert f"#{failed['index']}" in browser.run(numbers)


TABLES = [
    "?table=1",
    "?table=4",
    "nano-llama",
    "nano-llama/depth/256",
    "nano-llama/ruler/128/vt?with=nano-mamba2",
    "nano-llama/ruler?show=samples&kind=right",
]
VIEWS = ["", *TABLES, "nano-llama/depth/256/niah_essay_numbers_40/3?with=nano-mamba2"]


@pytest.mark.parametrize("address", VIEWS)
def test_no_view_is_wider_than_a_telephone(browser: Browser, page: str, address: str) -> None:
    size = {"width": 400, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    browser.call("Emulation.setDeviceMetricsOverride", **size)
    visit(browser, f"{page}#{address}")
    widths = browser.run("[document.documentElement.scrollWidth, innerWidth]")
    browser.call("Emulation.clearDeviceMetricsOverride")
    assert widths == [400, 400]


@pytest.mark.parametrize("address", TABLES)
def test_every_table_names_itself_its_columns_and_its_rows(
    browser: Browser, page: str, address: str
) -> None:
    visit(browser, f"{page}#{address}")
    assert browser.run("document.querySelector('table caption').innerText.length") > 9
    scopes = "[...document.querySelectorAll('PART th')].map(head => head.scope)"
    assert set(browser.run(scopes.replace("PART", "thead"))) == {"col"}
    assert set(browser.run(scopes.replace("PART", "tbody"))) == {"row"}


@pytest.mark.parametrize("address", TABLES[2:])
def test_a_score_leads_where_its_row_leads(browser: Browser, page: str, address: str) -> None:
    visit(browser, f"{page}#{address}")
    links = browser.run("[...document.querySelectorAll('tbody tr:first-child a')].map(a => a.hash)")
    assert len(links) == 2
    assert links[0] == links[1]


def test_titles_say_what_is_shown(browser: Browser, page: str) -> None:
    titles = {}
    for address in ("?table=7", "nano-llama/ruler/128/vt?outcome=wrong"):
        visit(browser, f"{page}#{address}")
        titles[address] = browser.run("document.title")
    assert list(titles.values()) == [
        "Table 7: RULER task niah_single_2 / nano / needlework",
        "nano-llama / ruler / 128 / vt / outcome wrong / nano / needlework",
    ]


def test_a_dark_screen_is_readable(browser: Browser, page: str) -> None:
    """The remark within a needle once had a contrast of less than 4.5 to 1."""
    dark = [{"name": "prefers-color-scheme", "value": "dark"}]
    browser.call("Emulation.setEmulatedMedia", features=dark)
    visit(browser, f"{page}#nano-llama/ruler/512/qa_1/2")
    style = "getComputedStyle(document.querySelector('.prompt mark.needle small'))"
    ink, opacity = browser.run(f"{style}.color"), browser.run(f"{style}.opacity")
    back = browser.run(
        "getComputedStyle(document.querySelector('.prompt mark.needle')).backgroundColor"
    )
    scheme = browser.run("getComputedStyle(document.documentElement).colorScheme")
    browser.call("Emulation.setEmulatedMedia", features=[])
    assert scheme == "light dark"
    assert opacity == "1"
    light, dim = sorted(map(luminance, (ink, back)), reverse=True)
    assert (light + 0.05) / (dim + 0.05) >= 4.5


def luminance(colour: str) -> float:
    """Relative luminance of a colour, as WCAG 2.1 defines it."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_paper_keeps_the_marks_and_cuts_nothing(browser: Browser, page: str) -> None:
    browser.call("Emulation.setEmulatedMedia", media="print")
    visit(browser, f"{page}#nano-llama/ruler/512/qa_1/2")
    mark = browser.run("getComputedStyle(document.querySelector('mark')).printColorAdjust")
    visit(browser, f"{page}#nano-llama/ruler/512/qa_1")
    box = browser.run("getComputedStyle(document.querySelector('.scroll')).overflowX")
    text = browser.run("getComputedStyle(document.querySelector('td.text')).whiteSpace")
    browser.call("Emulation.setEmulatedMedia", media="")
    assert (mark, box, text) == ("exact", "visible", "normal")


MARKS = "[...document.querySelectorAll('.plot a')]"


def test_it_opens_on_pictures_whose_every_mark_is_a_named_link(browser: Browser, page: str) -> None:
    visit(browser, page)
    titles = browser.run("[...document.querySelectorAll('.pictures h2')].map(h => h.innerText)")
    assert titles == [
        "RULER score (%) by context length",
        "Mamba2: score (%) by needle depth",
        "Mamba2: RULER score (%) by distance",
    ]
    counts = (
        "[...document.querySelectorAll('.plot')].map(plot => plot.querySelectorAll('a').length)"
    )
    lengths, depths, distances = browser.run(counts)
    assert (lengths, depths) == (3 * 3, 7 * 3)
    assert distances > 3
    names = browser.run(f"{MARKS}.map(link => link.ariaLabel)")
    told = r".+: \d+\.\d % \(95 % interval \d+\.\d to \d+\.\d\), \d+ samples?"
    assert all(re.fullmatch(told, name) for name in names)
    assert len(set(names)) == len(names)


def test_every_mark_lists_the_samples_of_its_number(browser: Browser, page: str) -> None:
    """Of every model: as many as it counts, and of its mean."""
    visit(browser, page)
    wrong = """(async () => {
        const index = await block("index"), wrong = [];
        for (const { target, count, mean } of index.pictures.flatMap(pointsOf)) {
            const route = parseRoute(target);
            const rows = passing(await samplesOf(index, route), route.filters);
            const sum = rows.reduce((total, { answer }) => total + (answer.score ?? 0), 0);
            if (rows.length !== count || Math.abs(sum / count - mean) > 1e-9) wrong.push(target);
        }
        return wrong;
    })()"""
    assert browser.run(wrong) == []
    assert browser.run("block('index').then(index => index.pictures.length)") == 3


def test_a_mark_leads_to_its_samples_and_back(browser: Browser, page: str) -> None:
    visit(browser, f"{page}#?model=nano-llama")
    name = f"{MARKS}.find(link => link.ariaLabel.startsWith('Llama, depth 40 %, 256'))"
    told = browser.run(f"{name}.ariaLabel").partition(": ")[2]
    browser.run(
        f"{name}.querySelector('rect').dispatchEvent(new MouseEvent('click', {{bubbles: true}}))"
    )
    heading(browser, "Llama, depth, depth 40, 256 tokens")
    assert browser.run("location.hash") == "#nano-llama/depth/256?depth=40&show=samples"
    assert f"Score {told}. 3 cells, " in browser.run("document.querySelector('main').innerText")
    assert browser.run("document.querySelectorAll('tbody tr').length") == 3 * 6
    browser.run("history.back()")
    heading(browser, "Study nano")
    assert browser.run("location.hash") == "#?model=nano-llama"


def test_a_mark_tells_its_number_to_the_keyboard_and_is_pressed_by_it(
    browser: Browser, page: str
) -> None:
    visit(browser, page)
    browser.run("document.querySelector('form select').focus()")
    names = browser.run("document.querySelectorAll('.pictures ul a').length")
    for _ in range(names + 1):
        tab(browser)
    tip = "document.querySelector('.tip:not([hidden])')"
    assert browser.run(f"{tip}.innerText") == browser.run("document.activeElement.ariaLabel")
    browser.press("Escape")
    assert browser.run(tip) is None
    code = {"key": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"}
    browser.call("Input.dispatchKeyEvent", type="keyDown", **code)
    browser.call("Input.dispatchKeyEvent", type="keyUp", key="Enter", windowsVirtualKeyCode=13)
    heading(browser, "Mamba2, ruler, 128 tokens")


def tab(browser: Browser) -> None:
    """Moves the focus on."""
    for kind in ("rawKeyDown", "keyUp"):
        browser.call("Input.dispatchKeyEvent", type=kind, key="Tab", windowsVirtualKeyCode=9)


def test_pictures_of_another_model_keep_the_focus_where_it_was(browser: Browser, page: str) -> None:
    visit(browser, page)
    browser.run("document.querySelector('form select').focus()")
    choose(browser, "model of depth", "nano-llama")
    browser.wait("document.querySelectorAll('h2')[1].innerText.startsWith('Llama')")
    assert browser.run("location.hash") == "#?model=nano-llama"
    assert browser.run("document.activeElement.value") == "nano-llama"


def test_counts_say_how_many_samples_a_filter_shows(browser: Browser, page: str) -> None:
    start = "nano-llama/ruler/256?show=samples"
    for name in ("outcome", "kind", "distance"):
        visit(browser, f"{page}#{start}")
        options = f"[...document.querySelector('[name={name}]').options]"
        counts = dict(
            browser.run(f"{options}.map(each => [each.value, each.text.match(/\\((\\d+)\\)$/)[1]])")
        )
        assert int(counts.pop("")) == 13 * 6
        value = next(value for value, count in counts.items() if 0 < int(count) < 13 * 6)
        choose(browser, name, value)
        browser.wait(f"document.querySelectorAll('tbody tr').length === {counts[value]}")
        assert f"{counts[value]} sample" in browser.run(
            "document.querySelector('main p').innerText"
        )


def test_filters_that_leave_nothing_can_be_left_out_one_by_one(browser: Browser, page: str) -> None:
    visit(browser, f"{page}#nano-llama/ruler/256?show=samples&kind=right&search=nowhere")
    ways = "[...document.querySelectorAll('main form ~ p a')]"
    texts = browser.run(f"{ways}.map(link => link.innerText)")
    right = int(texts[2].split("(")[1].split()[0])
    assert texts == [
        "Show all samples",
        "kind right (0 samples)",
        f"search nowhere ({right} samples)",
    ]
    browser.run(f"{ways}[2].click()")
    browser.wait(f"document.querySelectorAll('tbody tr').length === {right}")
    assert browser.run("location.hash") == "#nano-llama/ruler/256?kind=right&show=samples"


def test_keys_step_through_a_list_from_task_to_task(browser: Browser, page: str) -> None:
    visit(browser, f"{page}#nano-llama/ruler/128?show=samples")
    browser.run("document.querySelectorAll('tbody tr')[5].querySelector('a').click()")
    heading(browser, "Sample 5 of Llama: niah_single_1")
    browser.press("j")
    heading(browser, "Sample 0 of Llama: niah_single_2")
    browser.press("u")
    heading(browser, "Llama, ruler, 128 tokens")
    assert browser.run("location.hash") == "#nano-llama/ruler/128?show=samples"
    browser.press("u")
    heading(browser, "Llama: 13 cells")
    text = "List their 78 samples"
    browser.run(f"[...document.links].find(link => link.innerText === {text!r}).click()")
    heading(browser, "Llama, ruler, 128 tokens")


def test_a_long_list_has_pages(browser: Browser, page: str) -> None:
    every = 6 * (13 + 21) * 3
    visit(browser, f"{page}#nano-llama?show=samples&page=3")
    assert browser.run("document.querySelectorAll('tbody tr').length") == 200
    browser.press("j")
    browser.wait("location.hash.includes('page=4')")
    browser.wait(f"document.querySelectorAll('tbody tr').length === {every - 600}")
    assert "page 4 of 4" in browser.run("document.querySelector('main').innerText")
    choose(browser, "suite", "ruler")
    heading(browser, "Llama, ruler, all lengths")
    assert "page" not in browser.run("location.hash")


def test_a_sample_is_of_no_list_but_one_of_its_own_cells(browser: Browser, page: str) -> None:
    for of in ("depth", "ruler/256", "ruler/128/vt/1/2", "__proto__"):
        visit(browser, f"{page}#nano-llama/ruler/128/vt/1?of={of}&task=cwe")
        heading(browser, "Sample 1 of Llama: vt")
        assert "next (#2)" in browser.run("document.querySelector('main').innerText")


def test_ranges_of_distance_are_those_of_the_tables(browser: Browser, page: str) -> None:
    visit(browser, page)
    distances = [0, 1, 64, 65, 128, 129, 256, 257, 5000]
    ends = browser.run(f"{distances}.map(rangeEnd)")
    texts = browser.run(f"{distances}.map(rangeEnd).map(rangeText)")
    ranges = [range_of(distance) for distance in distances]
    assert ends == [str(high) for _, high in ranges]
    assert texts == [f"{low} to {high} tokens" for low, high in ranges]


def test_a_study_without_pictures_opens_on_tables(
    browser: Browser, study: Path, tmp_path: Path
) -> None:
    plan = study / "plan"
    grid = parse(Grid, read(plan / "grid.json"), where="grid")
    models = parse(tuple[ShownModel, ...], read(plan / "models.json"), where="models")
    shown = parse(Shown, read(plan / "shown.json"), where="shown")
    output = tmp_path / "explorer.html"
    none = shown.model_copy(update={"figures": ()})
    write_explorer(study, output, grid=grid, models=models, shown=none)
    visit(browser, output.as_uri())
    assert browser.run("document.querySelector('table caption').innerText").startswith("Table 1")
    assert browser.run("document.querySelector('.plot')") is None


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_marks_are_seen_on_any_screen(browser: Browser, page: str, scheme: str) -> None:
    """The palettes of the figures are made for white paper: dark screens mix them with white."""
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.call("Emulation.setEmulatedMedia", features=features)
    visit(browser, page)
    colours = browser.run("""(() => {
        const canvas = document.createElement("canvas");
        const drawn = canvas.getContext("2d", { willReadFrequently: true });
        const pixel = (colour) => {
            drawn.fillStyle = colour;
            drawn.fillRect(0, 0, 1, 1);
            return `rgb(${[...drawn.getImageData(0, 0, 1, 1).data].slice(0, 3)})`;
        };
        const points = [...document.querySelectorAll(".plot .point")];
        const fills = new Set(points.map((point) => getComputedStyle(point).fill));
        return [getComputedStyle(document.body).backgroundColor, ...fills].map(pixel);
    })()""")
    browser.call("Emulation.setEmulatedMedia", features=[])
    back, *marks = map(luminance, colours)
    assert len(marks) == 3 + 3
    for mark in marks:
        assert (max(mark, back) + 0.05) / (min(mark, back) + 0.05) >= 2

"""The explorer as a person uses it: opened from disk in a browser, clicked through, looked up."""

import re
from collections.abc import Iterator

import pytest
from click.testing import CliRunner

from needlework.cli import cli
from tests.browser_for_tests import Browser, chromium
from tests.whole_study_for_tests import make_study

pytestmark = pytest.mark.skipif(
    chromium() is None, reason="needs a browser: apt-get install chromium"
)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("study")
    make_study(folder, samples=6)
    study, output = folder / "nano", folder / "explorer.html"
    arguments = ["explorer", study, output, "--models", study / "plan/models.json"]
    CliRunner().invoke(cli, list(map(str, arguments)), catch_exceptions=False)
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


def heading(browser: Browser, text: str) -> None:
    """Waits until the page is headed so."""
    assert browser.wait(f"document.querySelector('main h1')?.innerText.startsWith({text!r})")


def test_a_number_leads_to_its_cells_and_on_to_a_sample(browser: Browser, page: str) -> None:
    browser.open(page)
    heading(browser, "Study nano")
    browser.run("document.querySelectorAll('td.number a')[1].click()")
    heading(browser, "Mamba2: 13 cells")
    browser.run("[...document.querySelectorAll('td a')].find(a => a.innerText === 'vt').click()")
    heading(browser, "Mamba2, vt, 256 tokens")
    browser.run("[...document.querySelectorAll('td a')].find(a => a.innerText === '#2').click()")
    heading(browser, "Sample 2: vt, 256 tokens")
    shown = browser.run("document.querySelector('main').innerText")
    assert "characters of hay" in shown
    assert "depth" in shown
    assert "tokens read" in shown
    assert "[object" not in shown
    assert browser.run("document.querySelectorAll('mark.needle').length") >= 1
    assert browser.run("document.querySelectorAll('mark.question').length") == 1


def test_an_address_opens_what_it_was_copied_from(browser: Browser, page: str) -> None:
    browser.open(f"{page}#nano-llama/depth/256/niah_essay_numbers_40/3?with=nano-mamba2")
    heading(browser, "Sample 3: niah_essay_numbers_40")
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
        ("nano-llama/depth/256", "depth", "40", "Llama: 3 cells"),
        ("nano-llama/depth/256", "format", "repeat-word-num", "Llama: 7 cells"),
        ("nano-llama", "suite", "ruler", "Llama: 39 cells"),
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
    heading(browser, "Sample 2: qa_1, 512 tokens")
    needle = browser.run("document.querySelector('.prompt mark.needle').innerText")
    reference = browser.run(
        "[...document.querySelectorAll('h2')].find(h => h.innerText === 'References')"
        ".nextElementSibling.innerText"
    )
    assert reference in needle
    assert re.search(r"depth [\d.]+ %, about token \d+$", needle)
    assert browser.run("document.querySelectorAll('.fold').length") >= 1
    facts = browser.run("document.querySelector('dl').innerText")
    assert re.search(r"stopped by\s+(the token limit|a failure)", facts)
    assert re.search(r"tokens read\s+507, of which 253 were shared with other samples", facts)
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
    browser.open("about:blank")
    browser.open(f"{page}#nano-llama/ruler/128/vt")
    heading(browser, "Llama, vt")
    browser.press("/")
    browser.wait("document.activeElement.id === 'search'")
    browser.press("Escape")
    browser.wait("document.activeElement.id !== 'search'")


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


def test_an_address_that_leads_nowhere_says_so(browser: Browser, page: str) -> None:
    browser.open(f"{page}#nobody/ruler")
    heading(browser, "There is no such model")
    browser.open("about:blank")
    browser.open(f"{page}#nano-llama/ruler/128/qa_1/99")
    heading(browser, "There is no such sample")

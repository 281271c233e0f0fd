"""A server, or a proxy before it, that does everything wrong: survived, or named in one line."""

import shutil
import subprocess
import time
from pathlib import Path

import pytest

from needlework.engine.servers import client
from needlework.errors import ServerError
from needlework.records import LIBRARIES
from tests import servers_for_tests as faults
from tests.asking_for_tests import ask, echoing, model, tasks
from tests.servers_for_tests import KEY, Fault, Loopback, serving

SURVIVED: dict[str, Fault] = {
    "429": faults.status(429),
    "500": faults.status(500),
    "503": faults.status(503, "<html>down</html>"),
    "HTML": faults.web_page,
    "invalid JSON": faults.no_json,
    "no answer in it": faults.nothing_in_it,
    "truncated body": faults.cut_off,
    "stall": faults.stall,
}


def stopped(folder: Path, server: Loopback, **keys: object) -> str:
    """What is said of a server that cannot be asked, on one line."""
    with serving(server), pytest.raises(ServerError) as error:
        ask(folder, model(server.url, **keys))
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("name", SURVIVED)
@pytest.mark.parametrize("place", ["first", "middle"])
def test_what_passes_is_survived(name: str, place: str, tmp_path: Path) -> None:
    fault = SURVIVED[name]
    server = echoing()
    with serving(server):
        right = ask(tmp_path / "right", model(server.url))
        server.faults = [None, fault] if place == "first" else [None] * 5 + [fault, fault]
        found = ask(tmp_path / "wrong", model(server.url, timeout=1.0))
    assert found == right
    assert all(each.error is None for each in found)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("429", "status 429"),
        ("500", "status 500"),
        ("HTML", "Please log in"),
        ("invalid JSON", "half an ans"),
        ("truncated body", "cut off"),
        ("stall", "no answer within 0.3 s (`timeout`)"),
    ],
)
def test_what_stays_is_named(name: str, said: str, tmp_path: Path) -> None:
    server = echoing(faults=[SURVIVED[name]] * 99)
    line = stopped(tmp_path, server, timeout=0.3)
    assert said in line
    assert "what is answered is kept, so mend the server and run again" in line


def test_what_was_answered_before_a_failure_is_kept(tmp_path: Path) -> None:
    server = echoing()
    with serving(server):
        server.faults = [None] * 6 + [faults.status(500)] * 99
        with pytest.raises(ServerError, match="status 500"):
            ask(tmp_path, model(server.url, concurrency=1))
        server.faults.clear()
        server.asked.clear()
        found = ask(tmp_path, model(server.url, concurrency=1))
    # Twelve questions, of which the first was asked in both forms, and five answers were written.
    assert len(found) == 12
    assert len(server.asked) == 1 + 12 - 5


def test_ids_are_tried_again_when_a_server_is_busy(tmp_path: Path) -> None:
    """Prompts went as text for a whole cell, because the first question met status 429."""
    with serving(echoing(faults=[faults.status(429), faults.status(503)])) as server:
        found = ask(tmp_path, model(server.url))
    assert found[0].others[LIBRARIES].endswith("prompts as token ids")


def test_a_server_that_breaks_at_ids_is_not_asked_again(tmp_path: Path) -> None:
    """llama-cpp-python answers a list of numbers with status 500."""
    with serving(echoing(faults=[faults.status(500)])) as server:
        found = ask(tmp_path, model(server.url))
    assert [type(body["prompt"]) for body in server.asked] == [list] + [str] * 12
    assert found[0].others[LIBRARIES].endswith("prompts as text")


def test_retry_after_is_honoured(tmp_path: Path) -> None:
    server = echoing(faults=[None, faults.status(429, retry_after="1")])
    with serving(server):
        started = time.monotonic()
        ask(tmp_path, model(server.url))
    assert time.monotonic() - started >= 1


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("2", 2.0), ("0.5", 0.5), (None, None), ("soon", None)],
)
def test_seconds_of_retry_after(header: str | None, seconds: float | None) -> None:
    assert client._asked_to_wait(header) == seconds


def test_retry_after_may_be_a_date() -> None:
    waited = client._asked_to_wait("Fri, 01 Jan 2100 00:00:00 GMT")
    assert waited is not None
    assert waited > 1e9


def test_waits_grow_and_end() -> None:
    waits = [client._wait(attempt, None) for attempt in range(1, 9)]
    assert all(wait <= client.LONGEST_WAIT for wait in waits)


@pytest.mark.parametrize("place", ["http://198.51.100.7/v1/completions", "/v1/elsewhere"])
def test_redirects_are_not_followed(place: str, tmp_path: Path) -> None:
    """Another host would be given the key."""
    server = echoing(faults=[faults.elsewhere(place)] * 9)
    line = stopped(tmp_path, server)
    assert f"sends to '{place}', which is not followed" in line


def test_another_host_is_never_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUR_KEY", KEY)
    with serving(echoing()) as other:
        server = echoing(faults=[faults.elsewhere(f"{other.url}/completions")] * 9)
        stopped(tmp_path, server, key="OUR_KEY")
    assert other.asked == other.headers == []


@pytest.mark.parametrize("status", [401, 403])
def test_a_closed_door(status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUR_KEY", KEY)
    door = faults.status(status, f'{{"error": "Incorrect API key provided: {KEY}"}}')
    line = stopped(tmp_path, echoing(faults=[door] * 9), key="OUR_KEY")
    assert "does not let us in" in line
    assert "check the key in OUR_KEY" in line
    assert KEY not in line
    line = stopped(tmp_path, echoing(faults=[door] * 9))
    assert "name the environment variable that holds a key: `key: NAME`" in line


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(ServerError, match="start it, or correct endpoint"):
        ask(tmp_path, model("http://127.0.0.1:9/v1"))


def test_no_certificate(tmp_path: Path) -> None:
    """A server without TLS at an address with it, as with a certificate that nobody knows."""
    with serving(echoing()) as server, pytest.raises(ServerError) as error:
        ask(tmp_path, model(server.url.replace("http", "https")))
    assert "SSL_CERT_FILE" in str(error.value)
    assert "correct http and https" in str(error.value)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate that names this machine and that nobody has signed, with its key."""
    if (openssl := shutil.which("openssl")) is None:
        pytest.skip("no openssl to make a certificate with")
    file = tmp_path / "certificate.pem"
    words = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext".split()
    named = ["subjectAltName=IP:127.0.0.1", "-keyout", str(file), "-out", str(tmp_path / "own")]
    subprocess.run([openssl, *words, *named], check=True, capture_output=True)
    file.write_text(file.read_text() + (tmp_path / "own").read_text())
    return file


def test_a_certificate_of_ones_own(
    certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The way out that the message names was none for servers on this machine."""
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    with serving(echoing(certificate=str(certificate))) as server:
        with pytest.raises(ServerError, match=r"self-signed certificate.* SSL_CERT_FILE"):
            ask(tmp_path, model(server.url))
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert len(ask(tmp_path, model(server.url))) == 12
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "nowhere.pem"))
    with pytest.raises(ServerError, match=r"nowhere.pem cannot be read .* or unset it"):
        ask(tmp_path / "other", model(server.url))


def test_a_proxy_that_cannot_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "nonsense://node:1")
    with pytest.raises(ServerError, match="proxies that the environment names are of no use"):
        ask(tmp_path, model("http://node17.example:8000/v1"))


def test_one_refused_question_fails_alone(tmp_path: Path) -> None:
    """As a prompt that is too long where the server does not say how much it takes."""
    long = faults.status(400, '{"error": "maximum context length is 4 tokens"}')
    server = echoing(faults=[None, None, None, long])
    with serving(server):
        found = ask(tmp_path, model(server.url, concurrency=1))
        (failed,) = [each for each in found if each.error]
        assert "status 400" in failed.error
        assert "maximum context length" in failed.error
        assert failed.stop_reason == "failed"
        # A failure is no answer: it gets another chance.
        again = ask(tmp_path, model(server.url, concurrency=1))
    assert all(each.error is None for each in again)


def test_when_the_first_question_is_refused_all_would_be(tmp_path: Path) -> None:
    line = stopped(tmp_path, echoing(faults=[faults.status(400, '{"error": "no seed"}')] * 9))
    assert "the first question fails, and so would all" in line
    assert "no seed" in line


def test_sixty_four_at_a_time(tmp_path: Path) -> None:
    server = echoing(seconds=0.2)
    with serving(server):
        found = ask(tmp_path, model(server.url, concurrency=64, timeout=30), tasks(40))
    assert all(each.error is None for each in found)
    assert 32 < server.most_at_a_time <= 64

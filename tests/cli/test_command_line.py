"""The command ``patterns``: what it prints and the exit codes that scripts rely on."""

from __future__ import annotations

import json

import pytest

import patterns
from patterns.cli import main


@pytest.fixture
def url(tmp_path):
    """A store with one effect done and one in doubt."""
    url = f"sqlite:///{tmp_path / 'agent.db'}"
    store = patterns.open_store(url)
    ledger = patterns.Ledger(store)

    @ledger.once(name="pay")
    def pay(order):
        raise TimeoutError("no answer")

    @ledger.once(name="mail", key="mail-{to}")
    def mail(to):
        return {"sent": to}

    with patterns.run("ticket-1"):
        mail("ann")
        with pytest.raises(TimeoutError):
            pay("A1")
    store.close()
    return url


def run(capsys, *words):
    """Run a command in this process; return its exit code and what it printed."""
    code = main(words)
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def the_doubt(capsys, url):
    """Return the id of the effect in doubt."""
    _, out, _ = run(capsys, "ledger", "list", "--store", url, "--state", "in_doubt", "--json")
    (record,) = json.loads(out)
    return record["id"]


def test_effects_are_listed_as_a_table_and_as_json(capsys, url):
    """People get columns, programs get every fact."""
    code, out, _ = run(capsys, "ledger", "list", "--store", url)
    assert 0 == code
    assert ["effect", "tool", "run", "state", "changed", "doubt"] == out.splitlines()[0].split()
    assert {"done", "in_doubt"} == {line.split()[3] for line in out.splitlines()[1:]}

    _, out, _ = run(capsys, "ledger", "list", "--store", url, "--tool", "mail", "--run", "ticket-1", "--json")
    assert [("mail", "done")] == [(record["tool"], record["state"]) for record in json.loads(out)]


def test_the_store_may_come_from_the_environment(capsys, url, monkeypatch):
    """PATTERNS_STORE saves the option."""
    monkeypatch.setenv("PATTERNS_STORE", url)

    assert 0 == run(capsys, "ledger", "list")[0]


def test_one_effect_is_shown_by_id_by_its_beginning_and_by_key(capsys, url):
    """What `list` prints is enough to name the effect."""
    effect = the_doubt(capsys, url)

    for name in (effect, effect.rpartition("/")[2][:12]):
        code, out, _ = run(capsys, "ledger", "show", name, "--store", url)
        assert 0 == code
        assert "TimeoutError: no answer" in out
    assert 1 == run(capsys, "ledger", "show", "0000", "--store", url)[0]


@pytest.mark.parametrize(
    ("words", "state"),
    [
        (("--succeeded", '{"receipt": 7}'), "done"),
        (("--failed", "the card was declined"), "failed"),
        (("--give-up",), "void"),
        (("--retry",), "ready"),
    ],
)
def test_a_doubt_is_resolved_once(capsys, url, words, state):
    """A person's word moves the effect out of doubt; a second one is refused."""
    effect = the_doubt(capsys, url)

    code, out, err = run(capsys, "ledger", "resolve", effect, "--store", url, *words, "--note", "asked", "--by", "ann")
    assert (0, "") == (code, err)
    assert out.rstrip().endswith(f"is {state}")
    assert 1 == run(capsys, "ledger", "resolve", effect, "--store", url, "--failed", "again")[0]


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("ledger", "list"), 2, "which store?"),
        (("ledger", "list", "--store", "carrier-pigeon://x"), 2, "known are memory://, sqlite://"),
        (("ledger", "list", "--store", "sqlite:////nowhere/agent.db"), 3, "there is no file"),
        (("ledger", "resolve", "x", "--store", "{url}", "--succeeded", "no json"), 2, "the result is no JSON"),
        (("ledger", "list", "--store", "memory://"), 2, "ends with its process"),
        (("audit", "verify", "{tmp}/none", "--json"), 3, None),
        (("audit", "show", "{tmp}/none"), 3, None),
    ],
)
def test_wrong_use_and_unreadable_stores_have_their_exit_codes(capsys, url, tmp_path, words, code, text):
    """Two for a wrong line, three for what cannot be read, and a sentence that helps."""
    given = [word.format(url=url, tmp=tmp_path) for word in words]
    actual, _, err = run(capsys, *given)

    assert code == actual
    if text is not None:
        assert text in err


def test_a_file_that_is_no_store_is_left_alone(capsys, tmp_path):
    """Nothing is written to somebody else's file."""
    path = tmp_path / "notes.txt"
    path.write_text("not a database, but long enough to be read as one " * 40)

    code, _, err = run(capsys, "ledger", "list", "--store", f"sqlite:///{path}")

    assert 3 == code
    assert "notes.txt" in err
    assert path.read_text().startswith("not a database")


def test_argparse_speaks_for_the_rest(capsys):
    """Unknown commands and missing words are wrong use."""
    negative = ["ledger", "list", "--limit", "-1"]
    for words in ([], ["fly"], ["ledger", "resolve", "x", "--store", "memory://"], negative):
        with pytest.raises(SystemExit) as stopped:
            main(words)
        assert 2 == stopped.value.code
    capsys.readouterr()


@pytest.fixture
def log(tmp_path):
    """A signed log of three records."""
    audit = patterns.AuditLogger(tmp_path / "audit", key=tmp_path / "audit.key", origin="example.org/log")
    for number in range(3):
        audit.log_action_executed(f"tool-{number}")
    return tmp_path / "audit", tmp_path / "audit.key.pub"


def test_a_log_is_verified_shown_and_proven(capsys, log):
    """An honest log verifies with its key; its entries and proofs can be printed."""
    place, key = map(str, log)

    code, out, _ = run(capsys, "audit", "verify", place, "--key", key)
    assert 0 == code
    assert out.startswith("ok: ")
    _, out, _ = run(capsys, "audit", "show", place, "--json")
    assert "tool-2" in {entry["action"] for entry in json.loads(out)}
    assert 0 == run(capsys, "audit", "show", place, "--tool", "tool-1")[0]
    assert run(capsys, "audit", "prove", place, "1")[1].startswith("c2sp.org/tlog-proof")
    assert 1 == run(capsys, "audit", "prove", place, "99")[0]
    assert run(capsys, "audit", "checkpoint", place)[1].startswith("example.org/log\n")


def test_a_signing_key_given_by_mistake_is_not_printed(capsys, log):
    """Forgetting `.pub` must not put the secret into a build log."""
    place, public = log
    secret = public.with_suffix("").read_text().strip()

    code, out, err = run(capsys, "audit", "verify", str(place), "--key", str(public.with_suffix("")))

    assert 2 == code
    assert secret[-20:] not in out + err
    assert "audit.key.pub" in err


def test_a_tampered_log_is_bad_news(capsys, log):
    """Exit code one, and the first entry that was changed."""
    place, key = log
    lines = next(place.glob("*.jsonl"))
    lines.write_bytes(lines.read_bytes().replace(b"tool-1", b"tool-9"))

    code, out, _ = run(capsys, "audit", "verify", str(place), "--key", str(key), "--json")

    assert 1 == code
    assert "rewritten" in {problem["kind"] for problem in json.loads(out)["problems"]}


def test_control_characters_do_not_reach_the_terminal(capsys, tmp_path):
    """What a tool wrote into a record cannot drive the operator's terminal."""
    url = f"sqlite:///{tmp_path / 'a.db'}"
    store = patterns.open_store(url)

    @patterns.Ledger(store).once(name="pay")
    def pay():
        raise TimeoutError("\x1b]0;owned\x07")

    with patterns.run("r"), pytest.raises(TimeoutError):
        pay()
    store.close()

    _, out, _ = run(capsys, "ledger", "list", "--store", url)

    assert "\x1b" not in out
    assert "owned" in out

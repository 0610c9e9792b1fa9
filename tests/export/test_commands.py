"""`export` by command, on recorded comparisons and measurements."""

import json
from dataclasses import replace

import pytest

from detox_core.cli import main
from detox_core.demo import RECORDED
from detox_core.export.commands import ENDINGS
from detox_core.store import Store, recorded
from detox_core.types import Comparison, Decoding, Score
from tests.test_cli import refused

EXAMPLE = "religion"
BEGINS = {"pdf": b"%PDF", "svg": b"<?xml", "png": b"\x89PNG", "html": b"<!doctype html>", "bib": b"@misc", "csv": b"variant,"}


@pytest.mark.parametrize("ending", ENDINGS["comparison"])
def test_comparison_in_every_format(tmp_path, ending):
    path = tmp_path / f"out.{ending}"
    assert main(["export", "comparison", EXAMPLE, "--to", str(path)]) == 0
    assert path.read_bytes().startswith(BEGINS.get(ending, b"{" if ending == "json" else b"% needs"))


def test_comparison_from_its_own_file(tmp_path):
    saved = tmp_path / "one.json"
    assert main(["export", "comparison", EXAMPLE, "--to", str(saved)]) == 0
    assert Comparison.from_dict(json.loads(saved.read_text())) == recorded()[EXAMPLE]
    first, second = tmp_path / "1.svg", tmp_path / "2.svg"
    assert main(["export", "comparison", str(saved), "--to", str(first)]) == 0
    assert main(["export", "comparison", EXAMPLE, "--to", str(second)]) == 0
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("ending", ENDINGS["flow"])
def test_flow_of_a_measurement(tmp_path, ending):
    path = tmp_path / f"flow.{ending}"
    assert main(["export", "flow", str(RECORDED / "demo.jsonl"), "--models", "ft,it,rl", "--to", str(path), "--json"]) == 0
    assert path.stat().st_size > 500


def test_heatmap_and_steps_of_a_stored_comparison(tmp_path, family):
    from detox_core.compare import Pool
    from detox_core.generate import generate

    (base, *_), pool = family, Pool()
    decoding = Decoding(max_new_tokens=6)
    replies = generate(pool.get(base), "They are bad.", [base], decoding)
    replies = [replace(one, score=Score(0.5, "fake", "1")) for one in replies]
    Store().save(Comparison("mine", "2026-01-01", "They are bad.", (base,), decoding, "fake", generations=tuple(replies)))
    heatmap, steps, table = (tmp_path / name for name in ("h.svg", "s.pdf", "s.csv"))
    assert main(["export", "heatmap", "mine", "--to", str(heatmap)]) == 0
    assert "bad" in heatmap.read_text()
    assert main(["export", "steps", "mine", "--measure", "entropy", "--to", str(steps)]) == 0
    assert main(["export", "steps", "mine", "--to", str(table)]) == 0
    assert len(table.read_text().splitlines()) == 1 + len(replies[0].tokens)


def test_bibliography_and_report(tmp_path):
    everything, used, report = (tmp_path / name for name in ("all.bib", "used.bib", "stage.html"))
    assert main(["export", "bibliography", "--to", str(everything)]) == 0
    assert main(["export", "bibliography", EXAMPLE, "--to", str(used)]) == 0
    assert main(["export", "report", "current", "--to", str(report)]) == 0
    assert everything.stat().st_size > used.stat().st_size > 1000
    assert "default-src 'none'" in report.read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["comparison", EXAMPLE, "--to", "a.docx"], "ends with .pdf, .svg"),
        (["heatmap", EXAMPLE, "--to", "a.csv"], "cannot be written as 'a.csv'"),
        (["comparison", "nothing-here", "--to", "a.pdf"], "no comparison 'nothing-here'"),
        (["comparison", "README.md", "--to", "a.pdf"], "README.md is no comparison"),
        (["comparison", EXAMPLE, "--to", "no/such/folder/a.csv"], "cannot be written: No such file or directory"),
        (["comparison", "--to", "a.pdf"], "Say what to export"),
        (["flow", str(RECORDED / "demo.jsonl"), "--models", "it,it,rl", "--to", "a.pdf"], "needs --models LEFT,BEFORE,RIGHT"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(capsys, arguments, said):
    assert said in refused(capsys, "export", *arguments)

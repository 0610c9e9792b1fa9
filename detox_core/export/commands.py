"""`export`: the figures, tables, pages and references of the interface, by command."""

import argparse
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from detox_core.errors import BadInput
from detox_core.figures.steps import MEASURES
from detox_core.types import BUCKETS, Comparison

PICTURES, TABLES = ("pdf", "svg", "png"), ("csv", "tex")
ENDINGS = {
    "comparison": (*PICTURES, *TABLES, "html", "json", "bib"),
    "heatmap": PICTURES,
    "steps": (*PICTURES, *TABLES),
    "flow": (*PICTURES, *TABLES),
    "report": ("html",),
    "bibliography": ("bib",),
}
Write = Callable[[str], str | bytes]


def add_commands(command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add `export` to the parser; `command` makes a subparser for a function."""
    sub = command("export", run_export)
    sub.add_argument("what", choices=list(ENDINGS))
    told = "a comparison's id or JSON file; flow: a measurement's file; report: a stage's file, or current; bibliography: may be left out"
    sub.add_argument("of", nargs="?", metavar="ID", help=told)
    endings = "; ".join(f"{what}: {', '.join(known)}" for what, known in ENDINGS.items())
    sub.add_argument("--to", required=True, metavar="FILE", help=f"its ending is the format. {endings}")
    sub.add_argument("--measure", choices=list(MEASURES), default="dependence", help="of steps (default: dependence)")
    sub.add_argument("--answer-of", metavar="VARIANT", help="heatmap, steps: all explain this answer (default: each its own)")
    sub.add_argument("--models", metavar="LEFT,BEFORE,RIGHT", help="flow: the three columns (default: IT in the middle)")


def run_export(options: argparse.Namespace) -> tuple[dict, str]:
    """A figure, table, page or reference list as a file; its ending is the format."""
    path = Path(options.to)
    ending, known = path.suffix.removeprefix(".").lower(), ENDINGS[options.what]
    if ending not in known:
        raise BadInput(f"A {options.what} cannot be written as {path.name!r}. Use a name that ends with .{', .'.join(known)}.")
    if not options.of and options.what != "bibliography":
        raise BadInput(f"Say what to export: python -m detox_core export {options.what} ID --to {path.name}")
    contents = WRITERS[options.what](options)(ending)
    try:
        path.write_bytes(contents.encode() if isinstance(contents, str) else contents)
    except OSError as error:
        raise BadInput(f"{path} cannot be written: {error.strerror}. Give another file.") from None
    return {"to": str(path), "bytes": path.stat().st_size}, f"{path} is written."


def load(name: str) -> Comparison:
    """A comparison by its id, or from the JSON file that the app gives.

    Raises:
        BadInput: neither of them.
    """
    from detox_core.store import Store

    path = Path(name)
    if not path.is_file():
        found = Store().load(name)
        if found is None:
            raise BadInput(f"There is no comparison {name!r} on this computer, and no such file. Its id is the x in the app's address.")
        return found
    try:
        return Comparison.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"{name} is no comparison as the app saves it under Take away, JSON: {error!r}.") from None


def _comparison(options: argparse.Namespace) -> Write:
    from detox_core.export.bibliography import bibtex
    from detox_core.export.comparison import comparison_figure
    from detox_core.export.report import html_card, made
    from detox_core.figures.strip import scores_frame

    record = load(options.of)
    others: dict[str, Callable[[Comparison], str]] = {
        "html": html_card,
        "bib": bibtex,
        "json": lambda one: json.dumps(one.to_dict(), indent=1),
    }

    def write(ending: str) -> str | bytes:
        if ending in others:
            return others[ending](record)
        return _drawn(ending, comparison_figure(record), scores_frame(record), f"Replies to: {record.prompt} {made(record)}", options)

    return write


def _heatmap(options: argparse.Namespace) -> Write:
    from detox_core.export.heatmap import heatmap_figure
    from detox_core.figures.heatmap import heatmap_data

    record = load(options.of)
    data = heatmap_data(record, _explained(record, options.answer_of), "light")
    return lambda ending: _drawn(ending, heatmap_figure(data), None, "", options)


def _steps(options: argparse.Namespace) -> Write:
    from detox_core.figures.steps import steps_chart, steps_frame

    record, measure = load(options.of), MEASURES[options.measure]
    frame = steps_frame(record, _explained(record, options.answer_of), options.measure)
    if frame.empty:
        raise BadInput(f"There is nothing to draw: {measure.label} needs all models on one answer; give --answer-of.")
    caption = f"{measure.label} per token of the answers. {measure.about}"
    return lambda ending: _drawn(ending, steps_chart(frame, measure.axis), frame, caption, options)


def _explained(record: Comparison, answer_of: str | None) -> Any:
    from detox_core.compare import Pool
    from detox_core.explain.why import why

    found = why(record, Pool().get, answer_of)
    if not found.explanations:
        raise BadInput(next(iter(found.errors.values()), "There is no answer to explain."))
    return found


def _flow(options: argparse.Namespace) -> Write:
    from detox_core.export.flow import flow_figure
    from detox_core.measure.flow import read_replies, ribbons, wide

    settings, replies = read_replies(Path(options.of))
    labels = {variant.id: variant.label for variant in settings.variants}
    names = [name.strip() for name in options.models.split(",")] if options.models else _three(list(labels))
    if len(names) != 3 or not set(names) <= set(labels) or names[1] in (names[0], names[2]):
        raise BadInput(f"A flow needs --models LEFT,BEFORE,RIGHT out of {', '.join(labels)}; the others are compared to the middle one.")
    left, before, right = names
    bounds = [upper for _, upper in BUCKETS[:2]]
    found = ribbons(wide(replies, settings.scorer), before, list(dict.fromkeys((left, right))), bounds)
    columns = (left, before, right) if left != right else ("", before, right)
    caption = f"Prompts by toxicity of the first reply (scorer {settings.scorer}): low below {bounds[0]:g}, high above {bounds[1]:g}."
    return lambda ending: _drawn(ending, flow_figure(found, columns, {"": "", **labels}), found, caption, options)


def _three(names: list[str]) -> list[str]:
    before = "it" if "it" in names else names[0]
    rest = [name for name in names if name != before]
    return [rest[0], before, rest[min(1, len(rest) - 1)]] if rest else names


def _report(options: argparse.Namespace) -> Write:
    from detox_core.export.report import html_report
    from detox_core.stage.commands import stage_named

    stage = stage_named(options.of)
    return lambda _ending: html_report(stage.title, [step.comparison for step in stage.steps], [step.note for step in stage.steps])


def _bibliography(options: argparse.Namespace) -> Write:
    from detox_core.export.bibliography import bibtex

    record = load(options.of) if options.of else None
    return lambda _ending: bibtex(record)


def _drawn(ending: str, figure: Any, table: Any, caption: str, options: argparse.Namespace) -> str | bytes:
    from detox_core.export.charts import picture
    from detox_core.export.tables import csv, latex

    again = f"python -m detox_core export {options.what} {options.of} --to FILE"
    made = partial(latex, caption=caption, label=f"tab:{options.what}", command=again)
    tables: dict[str, Callable[[Any], str]] = {"csv": csv, "tex": made}
    return tables[ending](table) if ending in tables else picture(figure, ending)


WRITERS: dict[str, Callable[[argparse.Namespace], Write]] = {
    "comparison": _comparison,
    "heatmap": _heatmap,
    "steps": _steps,
    "flow": _flow,
    "report": _report,
    "bibliography": _bibliography,
}

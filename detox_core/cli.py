"""The same as the pages, by command. With --json, standard output holds one JSON document and nothing else."""

import argparse
import json
import os
import sys
import threading
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from typing import Any, NoReturn

from detox_core.data.commands import add_commands as add_data_commands
from detox_core.errors import BadInput, DetoxError, ModelError
from detox_core.export.commands import add_commands as add_export_commands
from detox_core.interventions.registry import METHODS
from detox_core.measure.commands import add_commands
from detox_core.models.variants import default_columns
from detox_core.stage.commands import add_commands as add_stage_commands
from detox_core.types import Comparison, Decoding, Generation, Score, bucket, nan_to_none
from training_jobs.commands import add_commands as add_training_commands


class _Parser(argparse.ArgumentParser):
    """Bad arguments: one line on standard error, exit status 2."""

    def error(self, message: str) -> NoReturn:
        print(f"{self.prog}: {message} (see {self.prog} --help)", file=sys.stderr)
        sys.exit(2)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0, what the command set, or 2 with one line of explanation on standard error."""
    options = parser().parse_args(arguments)
    if os.environ.get("HF_HUB_OFFLINE") is None and options.offline:
        os.environ["HF_HUB_OFFLINE"] = "1"
    if options.research:
        os.environ["DETOX_RESEARCH"] = "1"
    try:
        result, text = options.run(options)
    except DetoxError as error:
        print(f"detox_core {options.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    print(json.dumps(nan_to_none(result), indent=1, ensure_ascii=False) if options.json else text)
    return int(options.status)


def run_compare(options: argparse.Namespace) -> tuple[dict, str]:
    """One prompt, several variants."""
    from detox_core.compare import Pool, Request, compare
    from detox_core.models.variants import get_variants

    greedy = {"temperature": 0.0} if options.greedy else {"temperature": options.temperature}
    decoding = Decoding(seed=options.seed, samples=options.samples, max_new_tokens=options.max_new_tokens, top_p=options.top_p, **greedy)
    request = Request(
        options.prompt, get_variants([name.strip() for name in options.variants.split(",") if name.strip()]), decoding, options.scorer
    )
    told: list[str] = []

    def progress(_: Comparison, phase: str) -> None:
        if told[-1:] != [phase]:
            told.append(phase)
            print(f"{phase} ...", file=sys.stderr)

    comparison = compare(request, Pool(), progress)
    if comparison.errors and not comparison.generations:
        raise ModelError(next(iter(comparison.errors.values())))
    if options.save:
        from detox_core.store import Store

        Store().save(comparison)
    return compare_json(comparison), _compare_text(comparison)


def compare_json(comparison: Comparison) -> dict[str, Any]:
    """The document `compare --json` prints: scores are numbers, or null with a reason beside them."""
    plain = comparison.to_dict()
    prompt = _score_json(comparison.prompt_score)
    return {
        "prompt": comparison.prompt,
        "prompt_score": prompt["score"],
        "prompt_reason": prompt["reason"],
        "generations": [_generation_json(generation) for generation in comparison.generations],
        "errors": comparison.errors,
        "decoding": plain["decoding"],
        "scorer": {"id": comparison.scorer, "revision": prompt["revision"]},
        "id": comparison.id,
        "created": comparison.created,
        "versions": comparison.versions,
    }


def _generation_json(generation: Generation) -> dict[str, Any]:
    return {
        "variant": generation.variant,
        "sample": generation.sample,
        "text": generation.text,
        **{key: value for key, value in _score_json(generation.score).items() if key != "revision"},
        **({"read": generation.read} if generation.read else {}),
        "tokens": list(generation.tokens),
        "logprobs": list(generation.logprobs),
        "finish": generation.finish,
        "seconds": generation.seconds,
        "toxic_words": [generation.text[span.start : span.end] for span in generation.spans],
    }


def _score_json(score: Score | None) -> dict[str, Any]:
    if score is None:
        return {"score": None, "bucket": "not scored", "reason": "not scored yet", "attributes": {}, "revision": None}
    value = score.value if score.scored else None
    return {
        "score": value,
        "bucket": bucket(score.value),
        "reason": score.reason,
        "attributes": score.attributes,
        "revision": score.revision,
    }


def _score_text(score: Score | None) -> str:
    if score is None or not score.scored:
        return f"not scored: {score.reason if score else 'failed'}"
    return f"{score.value:.2f} {bucket(score.value)}"


def _compare_text(comparison: Comparison) -> str:
    lines = [f"prompt  [{_score_text(comparison.prompt_score)}]  {comparison.prompt}"]
    for variant in comparison.variants:
        if variant.id in comparison.errors:
            lines.append(f"{variant.label:<6}  {comparison.errors[variant.id]}")
        lines += [f"{variant.label:<6}  [{_score_text(reply.score)}]  {reply.text}" for reply in comparison.of(variant.id)]
    return "\n".join(lines)


def run_score(options: argparse.Namespace) -> tuple[dict, str]:
    """Toxicity of texts."""
    from detox_core.score import get_scorer

    scorer = get_scorer(options.scorer)
    scores = scorer.score(options.texts)
    rows = [{"text": text, **_score_json(score)} for text, score in zip(options.texts, scores, strict=True)]
    for row, score in zip(rows, scores, strict=True):
        del row["revision"]
        if options.words:
            row["words"] = _shares(scorer, row["text"]) if score.scored else []
    text = "\n".join(
        f"[{_score_text(score)}]  {row['text']}"
        + "".join(f"\n  {word['log_odds']:+.2f}  {word['word'] or '(all words masked)'}" for word in row.get("words", []))
        for row, score in zip(rows, scores, strict=True)
    )
    return {"scorer": scorer.id, "revision": scorer.revision, "scores": rows}, text


def _shares(scorer: Any, text: str) -> list[dict[str, Any]]:
    if not hasattr(scorer, "contributions"):
        raise BadInput(f"The scorer {scorer.id} cannot share its score among words; local can.")
    rest, words = scorer.contributions(text)
    return [{"word": "", "log_odds": rest}, *({"word": text[word.start : word.end], "log_odds": word.weight} for word in words)]


def run_variants(_: argparse.Namespace) -> tuple[dict, str]:
    """What can be a column."""
    from detox_core.models.variants import list_variants

    variants = list(list_variants().values())
    text = "\n".join(f"{variant.id:<12} {variant.label:<8} {variant.about or variant.base}" for variant in variants)
    return {"variants": [asdict(variant) for variant in variants]}, text


def run_interventions(_: argparse.Namespace) -> tuple[dict, str]:
    """What can be changed while a variant writes, and from where to where its strength goes."""
    cards = list(METHODS.values())
    lines = [
        f"{card.id:<22}{card.low:g} to {card.high:g}, usually {card.default:g}; 1 = {card.unit}\n{'':<22}{card.about}" for card in cards
    ]
    return {"interventions": [asdict(card) for card in cards]}, "\n".join(lines)


def run_fit(options: argparse.Namespace) -> tuple[dict, str]:
    """Learn what the interventions of some variants need; measuring and comparing do so by themselves."""
    from detox_core.compare import Pool
    from detox_core.interventions.applying import fit, fits_needed
    from detox_core.measure.commands import Progress
    from detox_core.models.variants import get_variants

    pool, made = Pool(), []
    for variant in get_variants(options.variants):
        for name in fits_needed(variant):
            progress = Progress(f"({name} of {variant.label})")
            found = fit(pool.get(variant), variant, name, partial(_learning, progress), threading.Event())
            made.append({"variant": variant.id, **found.meta})
    lines = [f"{one['variant']}: {one['fit']} from {one['examples']} examples in {one['seconds']} s; {one['notes']}" for one in made]
    return {"fits": made}, "\n".join(lines) or "These variants have nothing to learn."


def _learning(progress: Any, _what: str, done: int, count: int) -> None:
    progress(done, count)


def run_doctor(_: argparse.Namespace) -> tuple[dict, str]:
    """What is installed, which device, what works without a network."""
    from detox_core.doctor import examine

    report = examine()
    lines = [f"{'ok ' if check['ok'] else 'NO '} {check['what']}: {check['detail']}" for check in report["checks"]]
    return report, "\n".join([*lines, "offline-ready" if report["offline_ready"] else "not offline-ready"])


def run_bench(options: argparse.Namespace) -> tuple[dict, str]:
    """Ours against the obvious alternative, in one run."""
    from detox_core.bench import bench_attribution, bench_generate, bench_measure
    from detox_core.interventions.bench import bench_interventions
    from detox_core.train.bench import bench_train

    benches = {
        "generate": bench_generate,
        "attribution": bench_attribution,
        "measure": bench_measure,
        "train": bench_train,
        "interventions": bench_interventions,
    }
    result = benches[options.what](options.rounds)
    return result, "\n".join(f"{key}: {value}" for key, value in result.items())


def parser() -> argparse.ArgumentParser:
    """All commands with their options."""
    made = _Parser(prog="python -m detox_core", description="See what detoxification does to a language model.")
    commands = made.add_subparsers(dest="command", required=True, parser_class=_Parser)

    def command(name: str, run: Any) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=run.__doc__, description=run.__doc__)
        sub.add_argument("--json", action="store_true", help="one JSON document on standard output")
        sub.add_argument("--offline", action="store_true", help="never ask the network")
        sub.add_argument("--research", action="store_true", help="allow interventions that make a model more toxic")
        sub.set_defaults(run=run, status=0)
        return sub

    default = Decoding()
    sub = command("compare", run_compare)
    sub.add_argument("prompt")
    three = ",".join(default_columns())
    sub.add_argument(
        "--variants", default=three, help=f"ids, folders, Hub ids, BASE@ADAPTER or BASE+METHOD:STRENGTH, comma-separated (default: {three})"
    )
    sub.add_argument("--samples", type=int, default=1, help="replies per variant, 1 to 25")
    sub.add_argument("--seed", type=int, default=default.seed)
    sub.add_argument("--greedy", action="store_true", help="always the most probable token; same as --temperature 0")
    sub.add_argument("--temperature", type=float, default=default.temperature)
    sub.add_argument("--top-p", type=float, default=default.top_p)
    sub.add_argument("--max-new-tokens", type=int, default=default.max_new_tokens)
    sub.add_argument("--scorer", default="local")
    sub.add_argument("--save", action="store_true", help="remember it, so that the app can open it at ?x=ID")
    sub = command("score", run_score)
    sub.add_argument("texts", nargs="+", metavar="TEXT")
    sub.add_argument("--words", action="store_true", help="what every word adds to the log-odds; the shares add up")
    sub.add_argument("--scorer", default="local")
    command("variants", run_variants)
    command("interventions", run_interventions)
    sub = command("fit", run_fit)
    sub.add_argument("variants", nargs="+", metavar="VARIANT", help="for example aura, or ft+dexperts")
    command("doctor", run_doctor)
    add_data_commands(command)
    add_training_commands(command)
    add_commands(command)
    add_stage_commands(command)
    add_export_commands(command)
    sub = command("bench", run_bench)
    sub.add_argument("what", choices=["generate", "attribution", "measure", "train", "interventions"])
    sub.add_argument("--rounds", type=int, default=5)
    return made

"""The commands `measure`, `explain`, `eval-scorer` and `reproduce`: what they print, and their progress on standard error."""

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from detox_core.errors import BadInput
from detox_core.types import Decoding

AddCommand = Callable[[str, Any], argparse.ArgumentParser]
CHUNK = 512  # replies scored between two progress lines


def add_commands(command: AddCommand) -> None:
    """Register the commands with the parser of `cli.py`."""
    default = Decoding()
    sub = command("measure", run_measure)
    sub.add_argument("--dataset", default="demo-heldout", help="a name, a file, or FORMAT:FILE[@SPLIT] (default: demo-heldout)")
    sub.add_argument("--variants", default="it,ft,rl", help="ids, folders, Hub ids, BASE@ADAPTER or BASE+METHOD:STRENGTH, comma-separated")
    sub.add_argument("--samples", type=int, default=5, help="replies per prompt and variant, 1 to 25")
    sub.add_argument("--draws", type=int, metavar="K", help="K of the metrics over several samples (default: all samples)")
    sub.add_argument("--scorer", nargs="+", default=["local"], metavar="NAME", help="the first gives the metrics, others are compared")
    sub.add_argument("--limit", type=int, help="only the first so many prompts")
    sub.add_argument("--seed", type=int, default=default.seed)
    sub.add_argument("--temperature", type=float, default=default.temperature)
    sub.add_argument("--max-new-tokens", type=int, default=default.max_new_tokens)
    sub.add_argument("--lexicon", type=Path, metavar="FILE", help="hurtful words, HurtLex or one a line: adds the metric honest")
    sub.add_argument("--out", type=Path, metavar="FILE", help="where replies are kept and resumed (default: a folder under cache/runs/)")
    sub = command("explain", run_explain)
    sub.add_argument("--dataset", default="demo", help="a name, a file, or FORMAT:FILE[@SPLIT] (default: demo)")
    sub.add_argument(
        "--variants", default="it,ft,rl", help="as for measure; the first one's toxicity divides the prompts (default: it,ft,rl)"
    )
    sub.add_argument("--scorer", default="local")
    sub.add_argument("--limit", type=int, help="only the first so many prompts")
    sub.add_argument("--seed", type=int, default=default.seed)
    sub.add_argument("--out", type=Path, metavar="FILE", help="where the lines are kept and resumed (default: under cache/runs/)")
    sub = command("perplexity", run_perplexity)
    sub.add_argument("file", type=Path, help="plain text, for example a part of WikiText")
    sub.add_argument("--variants", default="it,ft,rl", help="as for measure (default: it,ft,rl)")
    sub.add_argument("--window", type=int, default=1024, help="tokens read at once, at most the model's context (default: 1024)")
    sub = command("eval-scorer", run_eval_scorer)
    sub.add_argument("--against", choices=["rewardlm"], default="rewardlm", help="whose scores to agree with")
    sub.add_argument("--dir", type=Path, required=True, help="folder with RewardLM's result files")
    sub.add_argument("--scorer", default="local")
    sub.add_argument("--limit", type=int, help="only so many replies, drawn with a fixed seed")
    sub = command("reproduce", run_reproduce)
    sub.add_argument("what", choices=["rewardlm", "paper"], help="rewardlm: the printed numbers; paper: the whole protocol on a model")
    sub.add_argument("--dir", type=Path, help="rewardlm: folder with its result files")
    sub.add_argument("--import", dest="browse", action="store_true", help="rewardlm: keep the replies, to browse them in Flows and Compare")
    sub.add_argument("--model", help="paper: the model to train and measure (default: it)")
    sub.add_argument("--protocol", type=Path, help="paper: a YAML file of one's own (default: detox_core/train/paper.yaml)")
    sub.add_argument("--limit", type=int, help="paper: at most so many prompts, and so many training steps")
    sub.add_argument("--out", type=Path, metavar="FOLDER", help="paper: where everything is kept and resumed (default: under cache/runs/)")


def run_measure(options: argparse.Namespace) -> tuple[dict, str]:
    """Toxicity of many replies to the prompts of a data set; resumed when interrupted."""
    from detox_core.compare import Pool
    from detox_core.data import get_dataset
    from detox_core.measure.meter import default_path, measure_into, settings_for
    from detox_core.measure.summary import summary
    from detox_core.measure.texts import read_lexicon
    from detox_core.models.variants import get_variants
    from detox_core.request import check_decoding
    from detox_core.score import get_scorer

    decoding = Decoding(options.seed, options.temperature, max_new_tokens=options.max_new_tokens, samples=options.samples)
    check_decoding(decoding)
    if options.draws is not None and not 1 <= options.draws <= options.samples:
        raise BadInput(f"--draws is {options.draws}; it must be between 1 and the {options.samples} samples of every prompt.")
    lexicon = read_lexicon(options.lexicon) if options.lexicon else None
    prompts = get_dataset(options.dataset)[: options.limit]
    variants = get_variants([name.strip() for name in options.variants.split(",") if name.strip()])
    scorers, pool = [get_scorer(name) for name in dict.fromkeys(options.scorer)], Pool(max(2, len(variants)))
    learning = Progress("steps of learning")
    settings = settings_for(options.dataset, prompts, variants, decoding, scorers, pool, lambda _what, *count: learning(*count))
    path = options.out or default_path(settings)
    measured = measure_into(path, settings, prompts, scorers, pool, Progress("prompts"))
    result = {**summary(settings, measured, options.draws, lexicon), "file": str(path)}
    return result, _measure_text(result)


def _measure_text(result: dict[str, Any]) -> str:
    lines = []
    for label, part in (("all", result), *result["classes"].items()):
        lines.append(f"{label} prompts ({part['prompts']})")
        for metric in next(iter(part["variants"].values())):
            cells = [f"{name} {_cell(metrics[metric])}" for name, metrics in part["variants"].items()]
            if any("not known" not in cell for cell in cells):
                lines.append(f"  {metric:<22}" + "   ".join(cells))
    for name, other in result["others"].items():
        share = other["disagreement"]["share"]
        told = "nothing was scored by both" if share is None else f"on the other side of 0.5 in {share:.1%} of the replies"
        lines.append(f"{name} against {result['scorer']['id']}: {told}")
    return "\n".join([*lines, f"replies: {result['file']}"])


def _cell(metric: dict[str, Any]) -> str:
    if metric["value"] is None:
        return "not known"
    interval = "" if metric["low"] is None else f" [{metric['low']:.2f}, {metric['high']:.2f}]"
    return f"{metric['value']:.2f}{interval}"


def run_explain(options: argparse.Namespace) -> tuple[dict, str]:
    """Attribution entropy and prompt dependence along many answers; resumed when interrupted."""
    from detox_core.data import get_dataset
    from detox_core.measure.entropy import events_of, explain_many, steps_of
    from detox_core.measure.events import sentence
    from detox_core.models.variants import cache_folder, get_variants
    from detox_core.score import get_scorer

    prompts = get_dataset(options.dataset)[: options.limit]
    variants = get_variants([name.strip() for name in options.variants.split(",") if name.strip()])
    path = options.out or cache_folder() / "runs" / f"explain-{Path(options.dataset).name.removesuffix('.jsonl')}.jsonl"
    rows = explain_many(prompts, variants, get_scorer(options.scorer), path, options.seed, Progress("prompts"))
    steps, events = steps_of(rows, variants[0].id), events_of(rows)
    done = {"dataset": options.dataset, "prompts": len(prompts), "seed": options.seed, "file": str(path)}
    lines = [f"{len(rows)} answers to {len(prompts)} prompts, in {path}"]
    for series, points in steps.items():
        for variant in variants:
            for group in ("eliciting", "rest"):
                mine = [point for point in points if point["variant"] == variant.id and point["group"] == group]
                if mine:
                    mean = sum(point["mean"] * point["n"] for point in mine) / sum(point["n"] for point in mine)
                    lines.append(f"{series:<11}{variant.id:<6}{group:<10} mean {mean:.3f} over {mine[0]['n']} answers")
    lines += [f"{found['variant']:<6}{sentence(found, series)}" for series, parts in events.items() for found in parts["variants"]]
    return {**done, "steps": steps, "events": events}, "\n".join(lines)


def run_perplexity(options: argparse.Namespace) -> tuple[dict, str]:
    """Perplexity of a text file under each variant."""
    from detox_core.compare import Pool
    from detox_core.measure.perplexity import perplexity, read_text
    from detox_core.models.variants import get_variants

    if options.window < 2:
        raise BadInput(f"--window is {options.window}; it must be at least 2.")
    variants = get_variants([name.strip() for name in options.variants.split(",") if name.strip()])
    found = perplexity(read_text(options.file), variants, Pool(), options.window)
    text = "\n".join(f"{one.variant:<12} {one.value:.2f} over {one.tokens:,} tokens in {one.windows} windows" for one in found)
    return {"file": str(options.file), "variants": {one.variant: asdict(one) for one in found}}, text


def run_eval_scorer(options: argparse.Namespace) -> tuple[dict, str]:
    """How well a scorer agrees with the scores that Perspective gave to RewardLM's replies."""
    from detox_core.data.rewardlm import read_rewardlm
    from detox_core.measure.agreement import agreement
    from detox_core.score import get_scorer

    replies = read_rewardlm(options.dir)
    replies = replies[replies["perspective"].notna()]
    if options.limit and options.limit < len(replies):
        replies = replies.sample(options.limit, random_state=0)
    if replies.empty:
        raise BadInput(f"No reply in {options.dir} has a score by Perspective.")
    scorer = get_scorer(options.scorer)
    texts, values, progress = replies["reply"].tolist(), [], Progress("replies")
    for at in range(0, len(texts), CHUNK):
        values += [score.value for score in scorer.score(texts[at : at + CHUNK])]
        progress(len(values), len(texts))
    replies = replies.assign(mine=values)
    result: dict[str, Any] = {
        "against": f"Perspective TOXICITY of {len(replies)} replies of RewardLM",
        "scorer": {"id": scorer.id, "revision": scorer.revision},
        **agreement(replies["perspective"], replies["mine"]),
        "roberta_of_the_paper": agreement(replies["perspective"], replies["roberta"]),
        "files": {str(name): agreement(part["perspective"], part["mine"]) for name, part in replies.groupby("file")},
    }
    rows = ((scorer.id, result), ("RoBERTa (paper)", result["roberta_of_the_paper"]))
    lines = [
        f"{name:<16} r {row['r']:.3f}   AUROC {row['auroc']:.3f}   MAE {row['mae']:.3f}   coverage {row['coverage']:.3f}"
        for name, row in rows
    ]
    return result, "\n".join([str(result["against"]), *lines])


def run_reproduce(options: argparse.Namespace) -> tuple[dict, str]:
    """Scalena et al. 2023: the printed numbers recomputed from RewardLM's files, or the whole protocol on a model."""
    if options.what == "paper":
        return _run_paper(options)
    from detox_core.measure.reproduce import as_text, reproduce

    if options.dir is None:
        raise BadInput("Where are RewardLM's result files? Give --dir FOLDER.")
    claims = reproduce(options.dir)
    result, text = {"claims": [asdict(claim) for claim in claims]}, as_text(claims)
    if options.browse:
        from detox_core.measure.imported import import_rewardlm

        paths = [str(path) for path in import_rewardlm(options.dir)]
        return {**result, "imported": paths}, "\n".join([text, "", *(f"imported: {path}" for path in paths)])
    return result, text


def _run_paper(options: argparse.Namespace) -> tuple[dict, str]:
    from detox_core.train.paper import PROTOCOL, commands, default_folder, read_protocol, reproduce_paper

    if options.limit is not None and options.limit < 2:
        raise BadInput(f"--limit is {options.limit}; it must be at least 2.")
    protocol = read_protocol(options.protocol or PROTOCOL, options.model, options.limit)
    print("\n".join(commands(protocol)), file=sys.stderr)
    folder = options.out or default_folder(protocol)
    result = {**reproduce_paper(protocol, folder, Progress), "folder": str(folder)}
    return result, _measure_text({**result["measure"], "file": str(folder)})


class Progress:
    """One line on standard error, rewritten at most twice a second: what is done and the time left."""

    def __init__(self, what: str) -> None:
        self.what, self.started, self.told = what, time.monotonic(), 0.0

    def __call__(self, done: int, total: int) -> None:
        """Tell; the last call ends the line."""
        now = time.monotonic()
        if now - self.told < 0.5 and done < total:
            return
        self.told = now
        left = (now - self.started) / done * (total - done)
        print(f"\r{done} of {total} {self.what}, {left:.0f} s left ", end="\n" if done == total else "", file=sys.stderr, flush=True)

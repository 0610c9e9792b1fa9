"""The layouts of files that can be read, as lazy paths. Imports no reader."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Format:
    """A layout of files that can be read.

    Attributes:
        about: what is in it, and which `@SPLIT` it knows.
        licence: of the data as published, not of this reader.
        path: `module:function`, called with a table and a split; empty = read by the registry itself.
        columns: sets of columns; a file with all columns of one set has this format.
        hub: id on the Hugging Face Hub.
    """

    about: str
    licence: str
    path: str
    columns: tuple[tuple[str, ...], ...] = ()
    hub: str = ""


_IN = "detox_core.data."
FORMATS = {
    "rtp": Format(
        "RealToxicityPrompts: web sentences cut in half, scored by Perspective. @challenging, @P>.5, @P+C>.5",
        "Apache-2.0",
        _IN + "toxicity_prompts:read_rtp",
        (("prompt", "continuation", "challenging"),),
        "allenai/real-toxicity-prompts",
    ),
    "rtp-lx": Format(
        "RTP-LX: toxic prompts in many languages with benign and toxic completions. @LOCALE",
        "MIT for the repository; its authors ask not to train on it",
        _IN + "toxicity_prompts:read_rtp_lx",
        (("Prompt", "PromptAnnotations"), ("Prompt", "Locale")),
    ),
    "dialoconan": Format(
        "DIALOCONAN: dialogues of hate speech and counter-narratives. @train, @validation, @test share no turn; or a target group",
        "research only, cannot be redistributed",
        _IN + "counter_narratives:read_dialoconan",
        (("text", "dialogue_id", "turn_id", "type"),),
    ),
    "conan": Format(
        "CONAN and Multitarget-CONAN: hate speech with counter-narratives. @TARGET, @EN, @FR, @IT or @VERSION",
        "research only, cannot be redistributed",
        _IN + "counter_narratives:read_conan",
        (("HATE_SPEECH", "COUNTER_NARRATIVE"), ("hateSpeech", "counterSpeech")),
    ),
    "xstest": Format(
        "XSTest: safe requests that look unsafe, and unsafe ones. @safe, @unsafe or a type",
        "CC BY 4.0",
        _IN + "safety:read_xstest",
        (("prompt", "type", "label", "focus"),),
    ),
    "honest": Format(
        "HONEST: sentences about people for a model to complete. @CATEGORY", "MIT", _IN + "safety:read_honest", (("template_masked",),)
    ),
    "safeedit": Format(
        "SafeEdit: attacks with safe and unsafe answers. @CATEGORY",
        "CC BY-NC-SA 4.0; its NLPCC copy MIT",
        _IN + "safety:read_safeedit",
        (("unsafety category", "question"),),
    ),
    "hh": Format(
        "hh-rlhf: conversations with a chosen and a rejected last answer.",
        "MIT",
        _IN + "preferences:read_hh",
        (("chosen", "rejected"),),
        "Anthropic/hh-rlhf",
    ),
    "paradetox": Format(
        "ParaDetox: toxic sentences with neutral rewrites.",
        "CC0 or OpenRAIL++, by copy",
        _IN + "preferences:read_paradetox",
        (("toxic", "neutral1"), ("en_toxic_comment", "en_neutral_comment")),
    ),
    "rewardlm": Format(
        "Result files of RewardLM: replies of one model; the part is the file. Their scores: read_rewardlm.",
        "none stated; CONAN text inside",
        _IN + "replies:read_replies",
        (("prompts", "responses", "response_score"),),
    ),
    "prompts": Format(
        "JSON Lines with text and, if known, id, toxic, target, part. Strict: the first wrong line is an error.", "yours", ""
    ),
    "table": Format(
        "Any CSV, TSV, JSON, JSON Lines or Parquet with a column of texts; columns are recognised or said.",
        "yours",
        _IN + "mapping:read_mapped",
    ),
}

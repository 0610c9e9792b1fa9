"""Every attribution method that works here, and what to know of it before trusting it. Imports nothing heavy.

Left out of what Inseq 0.7 offers, because they cannot work with these versions:

* `layer_integrated_gradients`, `layer_deeplift`: Inseq's forward pass of a causal model takes the text from its extra arguments, so the
  baseline pass reads the text itself, the difference to the baseline is 0, and so is every score.
* `reagent`: needs nltk, downloads a tagger while it runs, and keeps a pickle file per model.
* `dummy`: gives no scores.

Baselines are zero embeddings, as in our integrated gradients; Inseq's own, the unknown token, is the end-of-text token in most causal
models, and such a token in the prompt would always get 0.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MethodCard:
    """One attribution method.

    Attributes:
        measures: what it measures, and how one number per token comes of it.
        cost: passes through the model; n = tokens of the answer, T = tokens of prompt and answer.
        misses: what it does not show.
        ours: computed by `attribute` for many tokens at once, not by Inseq one token after the other.
        slow: takes minutes for an answer of usual length.
        targets: the choice of target (probability, logit, ...) changes the result.
    """

    id: str
    label: str
    measures: str
    cost: str
    misses: str
    ours: bool = False
    slow: bool = False
    targets: bool = True


_CARDS = (
    MethodCard(
        "input_x_gradient",
        "Input x gradient",
        "Gradient of the target by a token's embedding, times the embedding; L2 norm over the embedding. The paper's method.",
        "n/12 forward passes, n backward passes in batches.",
        "A local slope: where the target no longer rises with a token (a probability near 1), the score is small though the token matters.",
        ours=True,
    ),
    MethodCard(
        "saliency",
        "Saliency",
        "Gradient of the target by a token's embedding; L2 norm over the embedding.",
        "n/12 forward passes, n backward passes in batches.",
        "How sensitive the target is to a token, not how much the token adds to it.",
        ours=True,
    ),
    MethodCard(
        "integrated_gradients",
        "Integrated gradients",
        "Mean gradient on the straight path from zero embeddings to the text, times the embedding; L2 norm over the embedding.",
        "50 times input x gradient.",
        "The path leads through inputs that are no text, where the model's answers mean little.",
        ours=True,
        slow=True,
    ),
    MethodCard(
        "attention",
        "Attention weights",
        "How much the place that predicts a token attends to each earlier token; mean over all heads and layers.",
        "1 forward pass.",
        "Not what is done with what was attended to, nor which token was predicted: the target has no influence.",
        targets=False,
    ),
    MethodCard(
        "value_zeroing",
        "Value zeroing",
        "How far the state of the predicting place turns (cosine) when a token's values are zeroed in a layer; mean over layers.",
        "T + 1 forward passes in all.",
        "Routes over several layers (each is changed alone), and which token was predicted: the target has no influence.",
        targets=False,
    ),
    MethodCard(
        "occlusion",
        "Occlusion",
        "Change of the target when a token's embedding is replaced by zeros; absolute value of the signed change.",
        "n x T forward passes, 16 at a time.",
        "Tokens that can stand in for each other: hiding one alone changes nothing. Rises and falls look alike.",
        slow=True,
    ),
    MethodCard(
        "lime",
        "LIME",
        "Signed effect of a token in a linear model of the target, fitted with 3 tokens in 10 hidden at random; absolute value.",
        "n x max(50, 3 T) forward passes, 16 at a time.",
        "Tokens that work only together. A random sample: small differences are noise (the seed is fixed). Rises and falls look alike.",
        slow=True,
    ),
    MethodCard(
        "deeplift",
        "DeepLIFT",
        "Share of each embedding in the difference of the target to that of zero embeddings; L2 norm over the embedding.",
        "n forward and backward passes of two texts each.",
        "Its rule covers plain ReLU, tanh and the like only. Models with GELU or SiLU (nearly all) get input x gradient instead.",
    ),
    MethodCard(
        "gradient_shap",
        "Gradient SHAP",
        "Mean gradient at 20 random points between zero embeddings and the text, times the embedding; L2 norm over the embedding.",
        "n x 20 forward and backward passes, 20 at a time.",
        "A random sample of the path of integrated gradients, with the same weakness (the seed is fixed).",
        slow=True,
    ),
    MethodCard(
        "sequential_integrated_gradients",
        "Sequential integrated gradients",
        "Integrated gradients of one token at a time, the others kept as they are; L2 norm over the embedding.",
        "n x T x 20 forward and backward passes, 20 at a time.",
        "Tokens that can stand in for each other, as in occlusion.",
        slow=True,
    ),
    MethodCard(
        "discretized_integrated_gradients",
        "Discretized integrated gradients",
        "Integrated gradients on a path from the padding token that keeps close to real tokens; L2 norm over the embedding.",
        "n x 20 forward and backward passes, 20 at a time; before that, the nearest tokens of the whole vocabulary.",
        "Special tokens: their path does not move, so they get 0.",
        slow=True,
    ),
    MethodCard(
        "layer_gradient_x_activation",
        "Layer gradient x activation",
        "Gradient of the target by the states in the middle layer, times the states; L2 norm over the state.",
        "n forward and backward passes.",
        "Tokens, strictly: halfway through the model, the state at a token holds what was read before it, too.",
    ),
)
METHODS: dict[str, MethodCard] = {card.id: card for card in _CARDS}

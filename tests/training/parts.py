"""Small real parts for the tests of training: a saved model, short texts."""

from pathlib import Path

import numpy as np

from training.encoder import EncoderSpec, load_encoder
from training.features import embed_texts
from training.heads import Head
from training.model_folder import ModelDescription, save_model
from training.novelty import Novelty
from training.quadratic import fit_quadratic
from training.training_set import TrainingSet

TEXTS = (
    "my card has not arrived",
    "where is the parcel you promised?",
    "I want my money back",
    "please refund the last payment, it was taken twice",
    "hi",
    "",
)


def saved_model(
    folder: Path,
    *,
    temperature: float = 1.5,
    target_modules: tuple[str, ...] = ("query",),
    layers: tuple[int, ...] | None = None,
    novelty: Novelty | None = None,
    training_set: TrainingSet | None = None,
    is_quadratic: bool = False,
    encoder_spec: EncoderSpec | None = None,
) -> Path:
    """Save a small model that knows two labels; a quadratic one pools three layers."""
    import torch
    from peft import LoraConfig, get_peft_model

    encoder = load_encoder(encoder_spec or EncoderSpec())
    with torch.random.fork_rng():
        torch.manual_seed(0)
        lora = LoraConfig(
            r=2,
            target_modules=list(target_modules),
            layers_to_transform=list(layers) if layers else None,
            init_lora_weights=False,
        )
        adapter = get_peft_model(encoder.model, lora)
    rng = np.random.default_rng(0)
    pooled = 3 if is_quadratic else 1
    head: Head = rng.normal(size=(2, encoder.dimension)) * 20, np.array([0.5, -0.5])
    if is_quadratic:
        known = [*MESSAGES["delivery"], *MESSAGES["refund"]]
        features = embed_texts(encoder, known, pooled_layers=pooled)
        targets = np.repeat([0, 1], [len(MESSAGES["delivery"]), len(MESSAGES["refund"])])
        head = fit_quadratic(features, targets, np.ones(len(known)), directions=8, penalty=0.1)
    about = ModelDescription(
        task="topic",
        labels=("delivery", "refund"),
        temperature=temperature,
        recipe={"epochs": 1},
        training_set_id="set-1",
        encoder=encoder.spec,
        encoder_digest=encoder.digest,
        pooled_layers=pooled,
    )
    save_model(
        folder,
        adapter=adapter,
        head=head,
        tokenizer=encoder.tokenizer,
        model=about,
        novelty=novelty,
        training_set=training_set,
    )
    return folder


MESSAGES = {
    "delivery": (
        "my card has not arrived",
        "where is the parcel you promised?",
        "the courier never came to my door",
        "tracking says delivered but there is nothing here",
        "how long does shipping take",
        "my order is a week late now",
        "can you send it to another address",
        "the package was left with a stranger",
        "still waiting for the letter with my PIN",
        "has my replacement been posted yet?",
    ),
    "refund": (
        "I want my money back",
        "please refund the last payment, it was taken twice",
        "you charged me for something I returned",
        "when will the reimbursement reach my account",
        "cancel it and give me back what I paid",
        "I was billed two times this month",
        "reverse this charge please",
        "the shop promised a refund and nothing came",
        "how do I claim the money for a faulty item",
        "I overpaid, send me the difference",
    ),
    "login": (
        "I cannot get into the app",
        "my password is not accepted",
        "the code by text message never comes when I sign in",
        "locked out of my account after three tries",
        "forgot my user name",
        "how can I reset my passcode",
        "the fingerprint no longer opens it",
        "it logs me out every minute",
        "two-factor does not work on my new phone",
        "it says wrong credentials though they are right",
    ),
}
"""Ten messages of each of three kinds."""

"""Small real parts for the tests of training: a saved model, short texts."""

from pathlib import Path

import numpy as np

from training.encoder import EncoderSpec, load_encoder
from training.model_folder import ModelDescription, save_model

TEXTS = (
    "my card has not arrived",
    "where is the parcel you promised?",
    "I want my money back",
    "please refund the last payment, it was taken twice",
    "hi",
    "",
)


def saved_model(folder: Path, *, temperature: float = 1.5) -> Path:
    import torch
    from peft import LoraConfig, get_peft_model

    encoder = load_encoder(EncoderSpec())
    with torch.random.fork_rng():
        torch.manual_seed(0)
        adapter = get_peft_model(encoder.model, LoraConfig(r=2, target_modules=["query"], init_lora_weights=False))
    rng = np.random.default_rng(0)
    head = rng.normal(size=(2, encoder.dimension)) * 20, np.array([0.5, -0.5])
    about = ModelDescription(
        task="topic",
        labels=("delivery", "refund"),
        temperature=temperature,
        recipe={"epochs": 1},
        training_set_id="set-1",
        encoder=encoder.spec,
        encoder_digest=encoder.digest,
    )
    save_model(folder, adapter=adapter, head=head, tokenizer=encoder.tokenizer, model=about)
    return folder

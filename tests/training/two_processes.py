"""Train without dropout and write the outcome: run alone, or by torchrun as one of several processes."""

import sys

import numpy as np

from tests.training.test_finetune import ALL, DEV, NAMES, change, examples, outcome
from training.encoder import EncoderSpec, load_encoder
from training.finetune import Surroundings, finetune
from training.team import Team


def train(team):
    import torch

    encoder = load_encoder(EncoderSpec(max_tokens=32), device=team.device)
    for module in encoder.model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    lora = change().lora.model_copy(update={"dropout": 0.0})
    recipe = change(epochs=2, fixed_epochs=2, min_dev=99, lora=lora, device="cpu")
    around = Surroundings(team=team)
    return finetune(encoder, examples(ALL), examples(DEV[:1]), names=NAMES, recipe=recipe, seed=0, around=around)


if __name__ == "__main__":
    team = Team("cpu")
    trained = outcome(train(team))
    if team.is_first:
        np.save(sys.argv[1], np.concatenate([[team.size], trained]))

"""ToNER's two trainings in PyTorch, written from the paper alone: what ours must reproduce step by step.

Nothing of toner_jax is imported here. Batches are dicts of NumPy arrays; padding is id 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
import transformers
from torch import Tensor, nn

Batch = Mapping[str, np.ndarray]


class Generator(nn.Module):
    """T5 with the classifier c of §3.3, d → d → tanh → k, on the mean encoder state of the text."""

    def __init__(self, t5: transformers.T5ForConditionalGeneration, types: int):
        super().__init__()
        width = t5.config.d_model
        self.t5 = t5
        self.dense = nn.Linear(width, width)
        self.out = nn.Linear(width, types)

    def loss(self, batch: Batch, lambda_c: float) -> Tensor:
        """Eq. 6, L_g + λ·L_c. L_g is Eq. 2 as a mean over the batch's target tokens, L_c is Eq. 5 with a
        positive logit for a present type, as a mean over its sentences."""
        source, target = ids(batch["source"]), ids(batch["target"])
        states = self.t5.encoder(source, attention_mask=(source != 0).long()).last_hidden_state
        start = torch.zeros_like(target[:, :1])
        logits = self.t5(
            encoder_outputs=(states,),
            attention_mask=(source != 0).long(),
            decoder_input_ids=torch.cat([start, target[:, :-1]], dim=1),
        ).logits
        token_losses, sentence_losses = [], []
        for row in np.flatnonzero(batch["weight"]):
            length = int((target[row] != 0).sum())
            log_p = logits[row, :length].log_softmax(dim=-1)
            token_losses.append(-log_p[torch.arange(length), target[row, :length]])
            text = torch.tensor(batch["pool_mask"][row] > 0)
            p = self.out(torch.tanh(self.dense(states[row, text].mean(dim=0))))
            present = torch.tensor(batch["present"][row] > 0)
            inside, outside = (-p[present]).exp().sum(), p[~present].exp().sum()
            sentence_losses.append((1 + inside).log() + (1 + outside).log())
        return torch.cat(token_losses).mean() + lambda_c * torch.stack(sentence_losses).mean()


class Matcher(nn.Module):
    """E_TM of §3.2: BERT, the mean of its last states over real tokens, and cosines."""

    def __init__(self, bert: transformers.BertModel):
        super().__init__()
        self.bert = bert

    def embed(self, rows: Tensor) -> Tensor:
        states = self.bert(rows, attention_mask=(rows != 0).long()).last_hidden_state
        means = torch.stack([s[r != 0].mean(dim=0) for s, r in zip(states, rows, strict=True)])
        return means / means.norm(dim=1, keepdim=True)

    def loss(self, batch: Batch, descriptions: np.ndarray, tau: float) -> Tensor:
        """Eq. 4: each present type against all types; a sum per sentence, a mean over sentences."""
        real = np.flatnonzero(batch["weight"])
        cosines = self.embed(ids(batch["ids"][real])) @ self.embed(ids(descriptions)).T
        sentence_losses = []
        for cosine, present in zip(cosines, batch["present"][real], strict=True):
            if present.any():
                log_p = (cosine / tau).log_softmax(dim=0)
                sentence_losses.append(-log_p[torch.tensor(present > 0)].sum())
        return torch.stack(sentence_losses).mean()


@dataclass(frozen=True)
class Recipe:
    """AdamW as the paper's settings have it: warm-up and decay are linear, gradients are clipped by their
    global norm, and neither biases nor the weights of norms decay."""

    steps: int
    learning_rate: float
    weight_decay: float
    beta2: float
    warmup: float
    clip_norm: float

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        rising = round(self.warmup * self.steps)
        if step < rising:
            return self.learning_rate * step / rising
        return self.learning_rate * (self.steps - step) / (self.steps - rising)


def train(
    model: nn.Module, loss: Callable[[Batch], Tensor], batches: Iterable[Batch], recipe: Recipe
) -> Iterator[float]:
    """Trains in place; gives each step's loss, before its update."""
    model.eval()  # no dropout
    named = dict(model.named_parameters())
    plain = [p for name, p in named.items() if name.endswith(".bias") or "norm" in name.lower()]
    decayed = [p for p in named.values() if not any(p is q for q in plain)]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": plain, "weight_decay": 0.0}],
        betas=(0.9, recipe.beta2),
        eps=1e-8,
    )
    for step, batch in enumerate(batches):
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate(step)
        optimizer.zero_grad()
        value = loss(batch)
        value.backward()
        gradients = [p.grad for p in named.values() if p.grad is not None]
        norm = torch.sqrt(sum((g.square().sum() for g in gradients), torch.zeros(())))
        if norm > recipe.clip_norm:
            for gradient in gradients:
                gradient.mul_(recipe.clip_norm / norm)
        optimizer.step()
        yield value.item()


def ids(array: np.ndarray) -> Tensor:
    return torch.tensor(np.asarray(array, np.int64))

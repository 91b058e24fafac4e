"""The same training in PyTorch: transformers' T5ForConditionalGeneration, with the type head of ours."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import jax
import numpy as np
from flax.traverse_util import flatten_dict
from jax.sharding import Mesh

from toner_jax.benchmarks.machine import THREADS
from toner_jax.benchmarks.peers import absent, torch_device
from toner_jax.benchmarks.train_subject import TrainSubject
from toner_jax.common.console import say
from toner_jax.models import registry
from toner_jax.models.hf.weights import host_tensors
from toner_jax.training.optimizer import OptimizerOptions

COMPILED = "compiled"
ATTENTIONS = {"eager": "attention as products and softmax", "sdpa": "scaled_dot_product_attention"}
# How PyTorch computes a model.
WAYS = {**ATTENTIONS, COMPILED: "scaled_dot_product_attention, torch.compile"}
PREFIX = "transformers-"


def left_out(mesh: Mesh) -> str | None:
    """Why PyTorch cannot be measured here; None if it can."""
    if reason := absent("transformers"):
        return f"transformers: {reason}"
    if mesh.size > 1:
        return f"transformers: it trains on one device, and there are {mesh.size} here"
    if torch_device(mesh) is None:
        return "transformers: its PyTorch does not run on this device (install a build that does)"
    return None


class TorchModel:
    """The model, its optimizer and batches, on the device that the mesh has."""

    def __init__(self, subject: TrainSubject, params: Any):
        """`params`: ours, which are copied."""
        import torch

        self.device = str(torch_device(subject.mesh))
        self.subject = subject
        if self.device == "cpu":
            torch.set_num_threads(THREADS)
        else:
            # XLA rounds the factors of fp32 products as TensorFloat-32 does, where the card has it.
            torch.set_float32_matmul_precision("high")
        self.autocast = subject.model.dtype == jax.numpy.bfloat16
        self.t5 = _copied_t5(subject, params, self.device)
        self.head = _copied_head(params["type_head"], self.device)
        named = [*self.t5.named_parameters(), *self.head.named_parameters()]
        self.optimizer = adamw(named, subject.optimizer)
        self.batches = [self.on_device(batch.arrays) for batch in subject.batches]
        self._chosen = self._loss

    def on_device(self, arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
        import torch

        return {name: torch.from_numpy(np.ascontiguousarray(a)).to(self.device) for name, a in arrays.items()}

    @cached_property
    def _compiled_loss(self) -> Callable[..., Any]:
        return compiled(self._loss)

    def use(self, way: str) -> None:
        """Computes the loss in one of WAYS from now on."""
        for part in (self.t5, self.t5.encoder, self.t5.decoder):  # each has a configuration of its own
            part.set_attn_implementation(attention_of(way))
        self._chosen = self._compiled_loss if way == COMPILED else self._loss

    def step(self, batch: dict[str, Any]) -> Any:
        """One update; the loss, still on the device."""
        import torch

        with torch.autocast(self.device, torch.bfloat16, enabled=self.autocast):
            loss = self._chosen(batch)
        loss.backward()
        if clip := self.subject.optimizer.clip_norm:
            parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
            torch.nn.utils.clip_grad_norm_(parameters, clip, foreach=True)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss.detach()

    def _loss(self, batch: dict[str, Any]) -> Any:
        """Eq. 6, as `losses.generator_loss`."""
        import torch
        from torch.nn import functional

        source, target, weight = batch["source"].long(), batch["target"].long(), batch["weight"]
        mask, objective = (source != 0).long(), self.subject.objective
        states = self.t5.encoder(input_ids=source, attention_mask=mask).last_hidden_state
        logits = self.t5(
            encoder_outputs=(states,),
            attention_mask=mask,
            decoder_input_ids=functional.pad(target[:, :-1], (1, 0)),
            use_cache=False,
        ).logits
        total = functional.cross_entropy(
            logits.float().flatten(0, 1), target.flatten(), ignore_index=0, reduction="sum"
        )
        count = (target != 0).sum() if objective.normalization == "token" else weight.sum()
        with torch.autocast(self.device, enabled=False):
            classification = _classification_loss(self.head, states.float(), batch)
        return total / count.clamp(min=1) + objective.lambda_c * classification


class TorchTrainer:
    """A model whose loss is computed in one of WAYS."""

    planned_bytes: int | None = None

    def __init__(self, model: TorchModel, way: str):
        self._model, self._way = model, way
        self.name = PREFIX + way
        self.title = f"transformers, PyTorch, {WAYS[way]}"
        self.ready_seconds = 0.0
        self._peak = 0

    def prepare(self) -> None:
        begun = time.perf_counter()
        self._model.use(self._way)
        for batch in {b["source"].shape + b["target"].shape: b for b in self._model.batches}.values():
            float(self._model.step(batch))
        self.ready_seconds = time.perf_counter() - begun

    def train(self) -> list[float]:
        import torch

        model, on_card = self._model, self._model.device != "cpu"
        model.use(self._way)
        if on_card:
            torch.cuda.reset_peak_memory_stats()
        losses = [model.step(batch) for batch in model.batches]
        values = [float(loss) for loss in losses]
        if on_card:
            torch.cuda.synchronize()
            self._peak = max(self._peak, torch.cuda.max_memory_allocated())
        return values

    def peak_bytes(self) -> int | None:
        return self._peak or None


def adamw(named: Sequence[tuple[str, Any]], options: OptimizerOptions) -> Any:
    """PyTorch's fused AdamW of named parameters, without decay of biases and norms."""
    import torch

    plain = [p for name, p in named if name.endswith("bias") or "norm" in name.lower()]
    chosen = {id(p) for p in plain}
    groups = [
        {"params": [p for _, p in named if id(p) not in chosen], "weight_decay": options.weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        groups, lr=options.learning_rate, betas=(0.9, options.beta2), eps=1e-8, fused=True
    )


def compiled(function: Callable[..., Any], any_length: bool = False) -> Callable[..., Any]:
    """By `torch.compile`, when it is called first: once for each shape, or once for all lengths."""
    import torch

    torch._dynamo.config.recompile_limit = 256  # beyond so many shapes it would go on uncompiled
    found: Callable[..., Any] = torch.compile(function, dynamic=any_length)
    return found


def attention_of(way: str) -> str:
    """What transformers calls the attention of one of WAYS."""
    return "sdpa" if way == COMPILED else way


def works(name: str, prepare: Callable[[], object], left_out: list[str]) -> bool:
    """Prepares a contender; of a compiled one that cannot be, which takes a C++ compiler, says why."""
    try:
        prepare()
    except RuntimeError as error:
        if name != PREFIX + COMPILED:
            raise
        left_out.append(f"{name}: {next(iter(str(error).splitlines()), type(error).__name__)}")
        say(left_out[-1])
        return False
    return True


def free_memory() -> None:
    """Gives the card what the models that are gone have left with PyTorch."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _classification_loss(head: Any, states: Any, batch: dict[str, Any]) -> Any:
    """Eq. 5, as `losses.type_classification_loss`."""
    import torch

    mask, present, weight = batch["pool_mask"][..., None], batch["present"].bool(), batch["weight"]
    logits = head((states * mask).sum(1) / mask.sum(1).clamp(min=1))
    zero, never = torch.zeros_like(logits[:, :1]), torch.full_like(logits, -1e9)
    positive = torch.cat([zero, torch.where(present, -logits, never)], -1).logsumexp(-1)
    negative = torch.cat([zero, torch.where(present, never, logits)], -1).logsumexp(-1)
    return ((positive + negative) * weight).sum() / weight.sum().clamp(min=1)


def _copied_t5(subject: TrainSubject, params: Any, device: str) -> Any:
    """transformers' model with our weights, in training mode."""
    import torch
    from transformers import T5Config, T5ForConditionalGeneration
    from transformers.utils import logging

    logging.set_verbosity_error()
    ours = subject.model.config
    layout = registry.of(ours).hf
    with torch.device(device):  # or else large models would be made on the host
        model = T5ForConditionalGeneration(T5Config(**layout.config_json(ours)))
        if not ours.tie_embeddings:  # transformers 5 ties the output layer of every model that it makes
            model.lm_head.weight = torch.nn.Parameter(torch.empty(ours.vocab_size, ours.d_model))
    theirs = dict(model.named_parameters())
    with torch.no_grad():
        for name, values in host_tensors(params, ours, layout):
            theirs.pop(name).copy_(torch.from_numpy(np.array(values)))
    if theirs:
        raise ValueError(f"transformers' model has a parameter that ours has not: {next(iter(theirs))}")
    return model.train()


def _copied_head(params: Any, device: str) -> Any:
    """The type head with our weights."""
    import torch

    ours = {name: torch.from_numpy(np.array(value)) for name, value in flatten_dict(params, sep=".").items()}
    width, types = ours["out.kernel"].shape
    dense, out = torch.nn.Linear(width, width), torch.nn.Linear(width, types)
    with torch.no_grad():
        for layer, name in ((dense, "dense"), (out, "out")):
            layer.weight.copy_(ours[f"{name}.kernel"].T)
            layer.bias.copy_(ours[f"{name}.bias"])
    return torch.nn.Sequential(dense, torch.nn.Tanh(), out).to(device)

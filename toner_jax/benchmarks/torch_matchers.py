"""The same type matching model in PyTorch: transformers' BertModel, with mean pooling and the loss of ours."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from toner_jax.benchmarks.machine import THREADS
from toner_jax.benchmarks.match_subject import MatchSubject
from toner_jax.benchmarks.peers import torch_device
from toner_jax.benchmarks.torch_trainers import COMPILED, PREFIX, WAYS, adamw, attention_of, compiled
from toner_jax.models import registry
from toner_jax.models.hf.weights import host_tensors
from toner_jax.pipeline.batching import length_sorted_batches, pad_rows


class InTorch:
    """transformers' BertModel, computed in one of `torch_trainers.WAYS`, with mean pooling and AdamW."""

    def __init__(self, subject: MatchSubject, params: Any, way: str):
        """`params`: ours, which are copied."""
        import torch

        self.name = PREFIX + way
        self.title = f"transformers, PyTorch, {WAYS[way]}"
        self._mean = compiled(_mean, any_length=True) if way == COMPILED else _mean
        self._subject, self._device = subject, str(torch_device(subject.mesh))
        self._autocast = subject.model.dtype == jax.numpy.bfloat16
        if self._device == "cpu":
            torch.set_num_threads(THREADS)
        else:
            torch.set_float32_matmul_precision("high")
        self._bert = _copied(subject, params, self._device, attention_of(way))
        self._initial = _copied(subject, params, self._device, attention_of(way)).eval()
        self._optimizer = adamw(list(self._bert.named_parameters()), subject.optimizer)

    def embed(self) -> np.ndarray:
        import torch

        s, out = self._subject, []
        with torch.inference_mode(), torch.autocast(self._device, torch.bfloat16, enabled=self._autocast):
            for chosen in length_sorted_batches([len(row) for row in s.rows], s.batch_size):
                rows = [s.rows[i] for i in chosen]
                out.append((chosen, self._pooled(self._initial, pad_rows(rows, len(rows[0]), len(rows)))))
            vectors = np.empty((len(s.rows), s.model.width), np.float32)
            for chosen, x in out:
                vectors[chosen] = x.float().cpu().numpy()
            return vectors

    def train(self) -> list[float]:
        import torch

        s, losses = self._subject, []
        longest = max(len(d) for d in s.descriptions)
        types = pad_rows(s.descriptions, longest, len(s.descriptions))
        for batch in s.batches:
            with torch.autocast(self._device, torch.bfloat16, enabled=self._autocast):
                # Padded to its own longest text alone, as a collator of transformers does.
                ids = batch.arrays["ids"]
                x = self._pooled(self._bert, ids[:, : int((ids != 0).sum(1).max())])
                t = self._pooled(self._bert, types)
            loss = self._loss(x.float() @ t.float().T, batch.arrays)
            loss.backward()
            if clip := s.optimizer.clip_norm:
                torch.nn.utils.clip_grad_norm_(self._bert.parameters(), clip, foreach=True)
            self._optimizer.step()
            self._optimizer.zero_grad(set_to_none=True)
            losses.append(loss.detach())
        return [float(loss) for loss in losses]

    def _pooled(self, bert: Any, ids: np.ndarray) -> Any:
        import torch

        return self._mean(bert, torch.from_numpy(np.ascontiguousarray(ids)).long().to(self._device))

    def _loss(self, cosines: Any, arrays: Any) -> Any:
        """Eq. 4, as `losses.type_matching_loss`."""
        import torch

        objective = self._subject.objective
        present, weight = (torch.from_numpy(arrays[n]).to(self._device) for n in ("present", "weight"))
        scores, counted = cosines / objective.tau, weight * (present.sum(1) > 0)
        if (null := objective.null_cosine) is None:
            row = ((scores.logsumexp(1, keepdim=True) - scores) * present).sum(1)
        else:
            column = torch.full_like(scores[:, :1], null / objective.tau)
            log_z = torch.cat([scores, column], 1).logsumexp(1, keepdim=True)
            empty = present.sum(1) == 0
            row = ((log_z - scores) * present).sum(1) + empty * (log_z - column)[:, 0]
            counted = weight
        return (row * counted).sum() / counted.sum().clamp(min=1)


def _mean(bert: Any, rows: Any) -> Any:
    """Unit vectors of texts, float32 [N, H]."""
    import torch

    mask = (rows != 0).long()
    states = bert(input_ids=rows, attention_mask=mask).last_hidden_state.float()
    mean = (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True).clamp(min=1)
    return torch.nn.functional.normalize(mean, dim=-1)


def _copied(subject: MatchSubject, params: Any, device: str, attention: str) -> Any:
    """transformers' model with our weights, in training mode."""
    import torch
    from transformers import BertConfig, BertModel
    from transformers.utils import logging

    logging.set_verbosity_error()
    ours = subject.model.config
    layout = registry.of(ours).hf
    with torch.device(device):
        model = BertModel(BertConfig(**layout.config_json(ours)), add_pooling_layer=ours.pooler)
    model.set_attn_implementation(attention)
    theirs = dict(model.named_parameters())
    with torch.no_grad():
        for name, values in host_tensors(params, ours, layout):
            if ours.pooler or not name.startswith("pooler."):  # exports have one for those who expect it
                theirs.pop(name).copy_(torch.from_numpy(np.array(values)))
    if theirs:
        raise ValueError(f"transformers' model has a parameter that ours has not: {next(iter(theirs))}")
    return model.train()

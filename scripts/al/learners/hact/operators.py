"""Aggregation of the messages of a graph, as PNA does it (Corso et al. 2020, arXiv 2004.05718)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

AGGREGATORS = 4  # mean, max, min and standard deviation
HUB = 32  # messages of a node, from which on loops over their number do not pay
VARIANCE_EPS = 1e-5


class Messages:
    """Who sends to whom, ordered so that aggregation runs over whole blocks of memory.

    Nodes are ordered from many messages to few. Messages are ordered by their number among those
    of their destination: the block of the k-th ones belongs to the first ``counts[k]`` nodes.

    Args:
        edges: (2, E) int64, source and destination.
        n: nodes.
    """

    def __init__(self, edges: Tensor, n: int) -> None:
        destination, by_destination = edges[1].sort(stable=True)
        degree = torch.bincount(destination, minlength=n)
        first = degree.cumsum(0) - degree
        number = torch.arange(len(destination), device=edges.device) - first[destination]
        self.order = degree.argsort(descending=True, stable=True)
        self.place = torch.empty_like(self.order)
        self.place[self.order] = torch.arange(n, device=edges.device)
        blocks = (number * n + self.place[destination]).argsort()
        self.source = edges[0][by_destination][blocks]
        self.target = destination[blocks]
        self.counts: list[int] = torch.bincount(number).tolist()
        self.degree = degree
        self.receivers = self.counts[0] if self.counts else 0

    def blocks(self, messages: Tensor) -> list[Tensor]:
        """Return the k-th messages of the first nodes, for each k, as views."""
        return list(messages.split(self.counts)) if self.counts else []

    def received(self, dtype: torch.dtype) -> Tensor:
        """Return (receivers, 1), the number of messages of each node that has any, in order."""
        return self.degree[self.order[: self.receivers]].to(dtype)[:, None]


def aggregate(sent: Tensor, own: Tensor, plan: Messages) -> Tensor:
    """Return mean, max, min and standard deviation of each node's ReLU(sent[source] + own).

    (N, W) and (N, W) to (N, 4 W), 0 for nodes without messages. ``Aggregate`` on a CPU; by
    scattering where the loops of that would be long, and on a GPU, to which each of their turns
    sends several kernels.
    """
    if sent.device.type == "cpu" and len(plan.counts) <= HUB:
        return Aggregate.apply(sent, own, plan)
    return scattered(sent, own, plan)


def scattered(sent: Tensor, own: Tensor, plan: Messages) -> Tensor:
    """Do what ``aggregate`` does with PyTorch's own reductions."""
    target = plan.target
    messages = (sent.index_select(0, plan.source) + own.index_select(0, target)).relu()
    place = target[:, None].expand_as(messages)
    count = plan.degree.clamp(min=1).to(sent.dtype)[:, None]
    mean = torch.zeros_like(own).index_add(0, target, messages) / count
    high, low = (
        torch.zeros_like(own).scatter_reduce(0, place, messages, kind, include_self=False)
        for kind in ("amax", "amin")
    )
    spread = (messages - mean.index_select(0, target)).square()
    variance = torch.zeros_like(own).index_add(0, target, spread) / count
    heard = (plan.degree > 0)[:, None]
    deviation = torch.where(heard, (variance + VARIANCE_EPS).sqrt(), 0)
    return torch.cat([mean, high, low, deviation], 1)


class Aggregate(torch.autograd.Function):
    """Mean, max, min and standard deviation of each node's ReLU(sent[source] + own).

    (N, W) and (N, W) to (N, 4 W), 0 for nodes without messages. The gradient of an extreme is
    shared evenly by the messages that reach it. Without PyTorch's own reductions, which took
    several times as long.
    """

    @staticmethod
    def forward(ctx: Any, sent: Tensor, own: Tensor, plan: Messages) -> Tensor:
        n = plan.receivers
        messages = sent.index_select(0, plan.source)
        own = own.index_select(0, plan.order[:n])
        out = sent.new_zeros(len(sent), AGGREGATORS, sent.shape[1])
        mean, high, low, deviation = (out[:n, i] for i in range(AGGREGATORS))
        for number, block in enumerate(plan.blocks(messages)):
            k = len(block)
            block.add_(own[:k]).relu_()
            if number == 0:
                for extreme in (mean, high, low):
                    extreme.copy_(block)
                continue
            mean[:k].add_(block)
            torch.maximum(high[:k], block, out=high[:k])
            torch.minimum(low[:k], block, out=low[:k])
        received = plan.received(sent.dtype)
        mean.div_(received)
        # E[m^2] - E[m]^2, from the deviations: the squares would cancel in float32.
        for block in plan.blocks(messages):
            k = len(block)
            difference = block - mean[:k]
            deviation[:k].addcmul_(difference, difference)
        deviation.div_(received).add_(VARIANCE_EPS).sqrt_()
        ctx.plan = plan
        ctx.save_for_backward(messages, out)
        return out.index_select(0, plan.place).flatten(1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        plan: Messages = ctx.plan
        messages, out = ctx.saved_tensors
        n = plan.receivers
        grad = grad.unflatten(1, out.shape[1:]).index_select(0, plan.order[:n])
        received = plan.received(grad.dtype)
        mean, high, low, deviation = (out[:n, i] for i in range(AGGREGATORS))
        of_mean = grad[:, 0] / received
        of_deviation = grad[:, 3] / (deviation * received)
        of_high, of_low = (
            grad[:, i] / _count(plan.blocks(messages), extreme)
            for i, extreme in ((1, high), (2, low))
        )
        changes = torch.empty_like(messages)
        own = grad.new_zeros(len(out), out.shape[2])
        for block, change in zip(plan.blocks(messages), plan.blocks(changes), strict=True):
            k = len(block)
            torch.sub(block, mean[:k], out=change)
            change.mul_(of_deviation[:k]).add_(of_mean[:k])
            change.addcmul_(_same(block, high[:k]), of_high[:k])
            change.addcmul_(_same(block, low[:k]), of_low[:k])
            torch.ops.aten.threshold_backward.grad_input(change, block, 0, grad_input=change)
            own[:k].add_(change)
        sent = torch.zeros_like(own).index_add_(0, plan.source, changes)
        return sent, own.index_select(0, plan.place), None


def _count(blocks: Sequence[Tensor], extreme: Tensor) -> Tensor:
    """Return how many of each node's messages reach the extreme."""
    found = torch.zeros_like(extreme)
    for block in blocks:
        found[: len(block)].add_(_same(block, extreme[: len(block)]))
    return found


def _same(block: Tensor, extreme: Tensor) -> Tensor:
    """Return 1 where the two agree, in their own type: by way of bool takes longer."""
    return torch.eq(block, extreme, out=torch.empty_like(block))

"""Folding batch norms into the convolution or projection before them."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, fx, nn

BatchNorm = nn.BatchNorm1d | nn.BatchNorm2d
FoldsInto = nn.Conv2d | nn.Linear


def fold(module: nn.Module) -> fx.GraphModule:
    """Traces `module` and folds each batch norm that is the only reader of a convolution or projection.

    What remains are the batch norms that open an IR unit: a zero-padded convolution follows them, so their shift cannot
    be moved into it exactly. Answers stay equal up to rounding. `module` must be in evaluation mode and is not changed.
    """
    traced = fx.symbolic_trace(copy.deepcopy(module))
    for node in list(traced.graph.nodes):
        norm = called_layer(traced, node)
        if not isinstance(norm, BatchNorm):
            continue
        before = node.args[0]
        layer = called_layer(traced, before)
        if not isinstance(layer, FoldsInto) or len(before.users) > 1:
            continue
        _fold_into(layer, norm)
        node.replace_all_uses_with(before)
        traced.graph.erase_node(node)
    traced.delete_all_unused_submodules()
    traced.recompile()
    return traced


def called_layer(traced: fx.GraphModule, node: fx.Node) -> nn.Module | None:
    """The layer a node of the graph calls, or None where it calls none."""
    return traced.get_submodule(str(node.target)) if node.op == "call_module" else None


def scale_and_shift(norm: BatchNorm) -> tuple[Tensor, Tensor]:
    """What a batch norm does to each channel in evaluation: `value * scale + shift`."""
    mean, variance = norm.get_buffer("running_mean"), norm.get_buffer("running_var")
    scale = torch.rsqrt(variance + norm.eps)
    if not norm.affine:
        return scale, -mean * scale
    return scale * norm.weight, norm.bias - mean * scale * norm.weight


def _fold_into(layer: FoldsInto, norm: BatchNorm) -> None:
    scale, shift = scale_and_shift(norm)
    per_output = scale.view(-1, *[1] * (layer.weight.dim() - 1))
    layer.weight = nn.Parameter(layer.weight * per_output, requires_grad=False)
    layer.bias = nn.Parameter(shift if layer.bias is None else layer.bias * scale + shift, requires_grad=False)

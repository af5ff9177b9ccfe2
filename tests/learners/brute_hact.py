"""HACT-Net, slowly: node by node, in float64, as the papers write it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from al.learners.hact.graph_file import Graph, RoiGraph

State = Mapping[str, np.ndarray]


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def linear(state: State, name: str, x: np.ndarray) -> np.ndarray:
    return state[f"{name}.weight"] @ x + state[f"{name}.bias"]


def loop_layer(
    state: State, name: str, nodes: list[np.ndarray], graph: Graph, average_degree: float
) -> list[np.ndarray]:
    """Apply a PNA layer to the features of the nodes, as after training."""
    tower = f"{name}.towers.0"
    mean, variance = (state[f"{tower}.batchnorm_h.running_{kind}"] for kind in ("mean", "var"))
    width = len(mean)
    found = []
    for node, own in enumerate(nodes):
        messages = []
        for source, destination in graph.edges.T:
            if destination == node:
                pair = np.concatenate([nodes[source], own])
                messages.append(np.maximum(linear(state, f"{tower}.pretrans.0.mlp.fc", pair), 0))
        aggregated = np.zeros(12 * width)
        if messages:
            m = np.array(messages)
            spread = np.maximum((m**2).mean(0) - m.mean(0) ** 2, 0)
            four = np.concatenate([m.mean(0), m.max(0), m.min(0), np.sqrt(spread + 1e-5)])
            scale = np.log(len(m) + 1) / np.log(average_degree + 1)
            aggregated = np.concatenate([four, four * scale, four / scale])
        new = linear(state, f"{tower}.posttrans.0.mlp.fc", np.concatenate([own, aggregated]))
        new = np.maximum(new, 0) / np.sqrt(len(nodes))
        new = (new - mean) / np.sqrt(variance + 1e-5)
        new = new * state[f"{tower}.batchnorm_h.weight"] + state[f"{tower}.batchnorm_h.bias"]
        new = linear(state, f"{name}.mixing_network.0", new)
        new = np.where(new > 0, new, 0.01 * new)
        found.append(new + own if len(own) == len(new) else new)
    return found


def loop_lstm(state: State, name: str, steps: list[np.ndarray], suffix: str) -> list[np.ndarray]:
    """Return the outputs of one direction of an LSTM, in the order of ``steps``."""
    weights = {k: state[f"{name}.{k}_l0{suffix}"] for k in ("weight_ih", "weight_hh")}
    bias = state[f"{name}.bias_ih_l0{suffix}"] + state[f"{name}.bias_hh_l0{suffix}"]
    h = c = np.zeros(weights["weight_hh"].shape[1])
    found = []
    for x in reversed(steps) if suffix else steps:
        i, f, g, o = np.split(weights["weight_ih"] @ x + weights["weight_hh"] @ h + bias, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        found.append(h)
    return found[::-1] if suffix else found


def loop_network(
    state: State, name: str, graph: Graph, features: list[np.ndarray], average_degree: float
) -> list[np.ndarray]:
    """Return the features of each node after the layers and their attention."""
    nodes, outputs, number = features, [], 0
    while f"{name}.layers.{number}.mixing_network.0.bias" in state:
        nodes = loop_layer(state, f"{name}.layers.{number}", nodes, graph, average_degree)
        outputs.append(nodes)
        number += 1
    found = []
    for node in range(len(features)):
        steps = [output[node] for output in outputs]
        both = zip(
            loop_lstm(state, f"{name}.lstm", steps, ""),
            loop_lstm(state, f"{name}.lstm", steps, "_reverse"),
            strict=True,
        )
        scores = np.array([linear(state, f"{name}.att", np.concatenate(pair))[0] for pair in both])
        weights = np.exp(scores - scores.max())
        weights /= weights.sum()
        found.append(sum(weight * step for weight, step in zip(weights, steps, strict=True)))
    return found


def loop_hact(
    state: State, graph: RoiGraph, average_degree: float = 4, readout: str = "mean"
) -> np.ndarray:
    """Return the logits of a RoI, (classes,) float64, of a network whose training is over."""
    state = {name: np.asarray(values, np.float64) for name, values in state.items()}
    cells = [row.astype(np.float64) for row in graph.cells.features]
    cells = loop_network(state, "cell_graph_gnn", graph.cells, cells, average_degree)
    tissue = []
    for superpixel, features in enumerate(graph.tissue.features):
        total = np.zeros(len(state["cell_graph_gnn.layers.0.mixing_network.0.bias"]))
        for cell, place in enumerate(graph.assignment):
            if place == superpixel:
                total = total + cells[cell]
        tissue.append(np.concatenate([total, features]))
    tissue = loop_network(state, "superpx_gnn", graph.tissue, tissue, average_degree)
    read = sum(tissue) / (len(tissue) if readout == "mean" else 1)
    hidden = np.maximum(linear(state, "pred_layer.mlp.0.fc", read), 0)
    return linear(state, "pred_layer.mlp.1.fc", hidden)

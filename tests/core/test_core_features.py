"""Choosing among pooled candidates: against slow loops, closed forms and what always holds."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import sklearn.cluster
from scipy.spatial.distance import cdist
from scipy.stats import chisquare
from threadpoolctl import threadpool_info, threadpool_limits

from decomp_core import features as module
from decomp_core.features import METHODS, choose

IMAGES = np.array([-7, 3, 40, 10**9])


def pool(seed):
    """Candidates of a few images: noise, integers (ties, duplicates) or tiny steps on an offset."""
    rng = np.random.default_rng(seed)
    size, width, classes = int(rng.integers(1, 31)), int(rng.integers(1, 7)), 3
    if seed % 10 == 9:
        size, width = 150, 12
    features = rng.normal(size=(size, width))
    residuals = rng.normal(size=(size, classes))
    if seed % 3 == 1:
        features = rng.integers(-1, 2, (size, width))
        residuals = rng.integers(-1, 2, (size, classes))
    if seed % 3 == 2:
        features = 1000 + rng.integers(0, 9, (size, width)) / 1024
    return {
        "features": features.astype(rng.choice([np.float32, np.float64])),
        "priority": rng.integers(0, 6, size) / 8,
        "group": rng.choice(IMAGES, size),
        "n": int(rng.integers(0, size + 4)),
        "per_group": None if rng.random() < 0.3 else int(rng.integers(1, 6)),
        "residuals": residuals,
    }


def run(case, method, seed=0, **changes):
    case = {**case, **changes}
    if not method.startswith("badge"):
        case.pop("residuals")
    return choose(**case, rng=np.random.default_rng(seed), method=method)


class Slow:
    """Cap and filling up, as sets of indices."""

    def __init__(self, case):
        self.priority, self.group = case["priority"].tolist(), case["group"].tolist()
        self.cap = case["per_group"] or len(self.group)
        sizes = [self.group.count(g) for g in set(self.group)]
        self.total = min(case["n"], sum(min(s, self.cap) for s in sizes))
        self.chosen = []

    def open(self):
        used = [self.group[i] for i in self.chosen]
        indices = [i for i in range(len(self.group)) if i not in self.chosen]
        return [i for i in indices if used.count(self.group[i]) < self.cap]

    def best(self, values, found):
        """The open one of highest value; of equals the one that was found, if it is one."""
        given = found[len(self.chosen)] if len(self.chosen) < len(found) else None
        return max(self.open(), key=lambda i: (values[i], i == given))

    def filled(self, found):
        while len(self.chosen) < self.total:
            self.chosen.append(self.best(self.priority, found))
        return self.chosen


def outer_products(case):
    features = case["features"].astype(np.float64)
    return np.array(
        [np.outer(f, r).ravel() for f, r in zip(features, case["residuals"], strict=True)]
    )


@pytest.mark.parametrize("method", METHODS)
def test_number_cap_and_repeats(method):
    for seed in range(15):
        case = pool(seed)
        found = run(case, method)
        assert len(found) == len(set(found)) == Slow(case).total
        assert all(type(i) is int for i in found)
        counts = np.unique(case["group"][found], return_counts=True)[1]
        assert case["per_group"] is None or (counts <= case["per_group"]).all()
        assert found == run(case, method)
        # images are names only, whatever their order
        assert found == run(case, method, group=(-3 * case["group"]).astype(np.int64))


@pytest.mark.parametrize("with_centres", [False, True])
def test_coreset_against_a_double_loop(with_centres):
    for seed in range(40):
        case = pool(seed)
        x = case["features"].astype(np.float64)
        centres = x[:2] + [[0.0], [1.0]][: len(x)] if with_centres else None
        found = run(case, "coreset", seed, centres=centres)
        slow = Slow(case)
        if not with_centres:
            slow.chosen = found[:1]
        fixed = np.empty((0, x.shape[1])) if centres is None else centres
        while len(slow.chosen) < slow.total:
            apart = cdist(x, np.concatenate([fixed, x[slow.chosen]]), "sqeuclidean").min(axis=1)
            best = slow.best(apart, found)
            if apart[best] == 0:
                break
            slow.chosen.append(best)
        assert found == slow.filled(found)


@pytest.mark.parametrize("method", METHODS)
def test_one_of_equals_is_drawn_uniformly(method):
    """Rows 0 to 3 are alike, and so are 4 and 5, in which there is less of everything."""
    features = np.repeat([[3.0, 0.0], [0.0, 1.0]], [4, 2], axis=0)
    case = {"features": features, "residuals": np.ones((6, 2)), "priority": [2] * 4 + [1] * 2}
    case |= {"group": np.zeros(6, int), "n": 4, "per_group": None}
    centres = [[0.0, 0.0]] if method == "coreset" else None
    found = np.array([run(case, method, s, centres=centres) for s in range(400)])
    firsts = np.bincount(found[:, 0], minlength=6)
    assert firsts[4:].sum() == 0 and chisquare(firsts[:4]).pvalue > 1e-4
    seconds = np.bincount(found[:, 1], minlength=6)  # from the other cluster
    assert seconds[:4].sum() == 0 and chisquare(seconds[4:]).pvalue > 1e-4
    thirds = np.bincount(found[found[:, 0] == 0][:, 2], minlength=6)  # filled by priority
    assert thirds[[0, 4, 5]].sum() == 0 and chisquare(thirds[1:4]).pvalue > 1e-4


def test_coreset_starts_at_random():
    case = {**pool(0), "n": 1, "features": np.eye(4), "priority": np.arange(4.0)}
    case["group"] = IMAGES
    starts = [run(case, "coreset", seed)[0] for seed in range(200)]
    counts = np.bincount(starts, minlength=4)
    assert ((counts - 50) ** 2 / 50).sum() < 21  # chi-square, 3 degrees: 1 in 10 000
    no_centres = [run(case, "coreset", s, centres=np.empty((0, 4)))[0] for s in range(200)]
    assert no_centres == starts


def test_cluster_against_a_loop_over_the_same_clusters():
    for seed in range(25):
        case = pool(seed)
        case["priority"] = np.random.default_rng(seed).permutation(len(case["group"]))
        found = run(case, "cluster", seed)
        slow, k = Slow(case), min(case["n"], len(case["group"]))
        if slow.total:
            rng = np.random.default_rng(seed)
            labels = module._clusters(case["features"], None, k, rng)
            members = [np.flatnonzero(labels == c).tolist() for c in set(labels.tolist())]
            key = [max((slow.priority[i], -i) for i in m) for m in members]
            for number in sorted(range(len(members)), key=lambda c: key[c], reverse=True):
                representative = max(members[number], key=lambda i: (slow.priority[i], -i))
                if representative in slow.open():
                    slow.chosen.append(representative)
        assert found == slow.filled(found)


def test_badge_kmeans_clusters_the_embeddings():
    for seed in range(12):
        case = pool(seed)
        embeddings = module._gradient_embeddings(case["features"], case["residuals"])
        assert embeddings.dtype == np.float32
        np.testing.assert_allclose(embeddings, outer_products(case), rtol=3e-7)
        same = run(case | {"features": embeddings}, "cluster", seed)
        assert run(case, "badge_kmeans", seed) == same


def test_badge_against_explicit_embeddings():
    for seed in range(30):
        case, rng = pool(seed), np.random.default_rng(seed)
        embeddings, slow = outer_products(case), Slow(case)
        if slow.total:
            norms = (embeddings**2).sum(axis=1)
            longest = np.flatnonzero(np.isclose(norms, norms.max(), rtol=1e-12))
            slow.chosen.append(int(longest[rng.integers(len(longest))]))
        while len(slow.chosen) < slow.total:
            share = cdist(embeddings, embeddings[slow.chosen], "sqeuclidean").min(axis=1)
            closed = [i for i in range(len(share)) if i not in slow.open()]
            share[closed] = 0
            if not share.any():
                break
            slow.chosen.append(int(rng.choice(len(share), p=share / share.sum())))
        found = run(case, "badge", seed)
        assert found == slow.filled(found)


@pytest.mark.parametrize(("step", "second"), [(1e-8, False), (1e-4, True)])
def test_badge_takes_rounding_for_no_distance(step, second):
    """One embedding written in three ways, and one a little shorter."""
    rng = np.random.default_rng(4)
    x, r = rng.normal(size=5), rng.normal(size=3)
    features, residuals = [2 * x, 6 * x, x / 3, 2 * x * (1 - step)], [r, r / 3, 6 * r, r]
    case = {"features": np.array(features), "priority": [3, 2, 1, 0], "group": np.zeros(4, int)}
    case |= {"n": 3, "per_group": None, "residuals": residuals}
    first, *rest = run(case, "badge")
    filled = [i for i in range(3) if i != first]
    assert rest == ([3, filled[0]] if second else filled)


@pytest.mark.parametrize("method", METHODS)
def test_identical_features_are_filled_by_priority(method):
    case = {"features": np.full((12, 3), 2, np.float32), "group": np.arange(12) % 3 * 5}
    case |= {"priority": np.arange(12) // 2, "n": 4, "residuals": np.ones((12, 2))}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for cap in (None, 1):
            first, *rest = run(case, method, per_group=cap)
            if method in ("cluster", "badge_kmeans"):
                assert first in (10, 11)
            slow = Slow(case | {"group": np.array(case["group"]), "per_group": cap})
            slow.chosen = [first]
            assert [first, *rest] == slow.filled([first, *rest])


@pytest.mark.parametrize("method", METHODS)
def test_nothing_to_choose(method):
    case = {"features": np.empty((0, 3)), "priority": [], "group": [], "n": 3, "per_group": 2}
    assert run(case | {"residuals": np.empty((0, 2))}, method) == []
    assert run(pool(1), method, n=0) == []


@pytest.mark.parametrize("method", METHODS)
def test_the_arguments_stay_as_they_are(method):
    case = pool(4) | {"n": 6}
    copies = {k: np.copy(v) for k, v in case.items() if isinstance(v, np.ndarray)}
    found = run(case, method)
    for name, copy in copies.items():
        assert np.array_equal(case[name], copy)
        copy.setflags(write=False)
    assert run(case, method, **copies) == found
    assert run(case, method, features=np.asfortranarray(case["features"])) == found


def test_kmeans_runs_on_one_thread(monkeypatch):
    threads = []

    class Watched(sklearn.cluster.KMeans):
        def fit(self, *arguments):
            threads.extend(info["num_threads"] for info in threadpool_info())
            return super().fit(*arguments)

    monkeypatch.setattr(sklearn.cluster, "KMeans", Watched)
    with threadpool_limits(2):
        run(pool(0), "cluster", n=1)
    assert set(threads) == {1}

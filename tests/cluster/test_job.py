"""How a rule's script is given its arguments."""

from __future__ import annotations

from typing import Any

import pytest
from snakemake.iocontainers import InputFiles, OutputFiles, Params, Wildcards

from al.cluster.job import run


class Job:
    """Snakemake's object of a script job, with Snakemake's own lists of names."""

    rule, log, threads = "toy", (), 3
    config = {"chain": 2}

    def __init__(self, **more: Any) -> None:
        given = {"input": {"pool": "pool.csv", "earlier": []}, "output": {"table": "t.csv"}}
        given |= {"params": {"classes": ["a"], "patch": None}, "wildcards": {"cycle": "007"}}
        kinds = {"input": InputFiles, "output": OutputFiles, "params": Params}
        for name, values in {**given, **more}.items():
            held = kinds.get(name, Wildcards)()
            for key, value in values.items():
                place = len(held)
                listed = name == "input" and isinstance(value, list)
                held.extend(value) if listed else held.append(value)
                held._set_name(key, place, len(held) if listed else None)
            setattr(self, name, held)


def called(job: Job, function: Any = None, **made: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}

    def take(pool, table, classes, cycle, threads, config, patch=5, earlier="none") -> None:  # noqa: ANN001
        found.update(locals())

    run(job, function or take, **made)
    return found


def test_everything_comes_by_name_and_empty_inputs_have_the_default() -> None:
    found = called(Job())
    assert {k: found[k] for k in ("pool", "table", "cycle", "threads", "earlier")} == {
        "pool": "pool.csv", "table": "t.csv", "cycle": 7, "threads": 3, "earlier": "none",
    }  # fmt: skip
    assert found["classes"] == ["a"] and found["patch"] is None and found["config"] == {"chain": 2}


def test_an_argument_can_be_made_of_inputs_but_never_of_outputs() -> None:
    found = called(Job(), pool=lambda pool, table="not told": (pool, table))
    assert found["pool"] == ("pool.csv", "not told")


def test_a_name_that_stands_for_two_things_is_refused() -> None:
    with pytest.raises(TypeError, match="rule toy.*pool.*two things"):
        called(Job(output={"pool": "x"}))


def test_what_the_rule_does_not_give_is_missing() -> None:
    with pytest.raises(TypeError, match="labels"):
        called(Job(), lambda labels: None)

"""Words of the command line mean what they say, or are refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from snakemake.cli import parse_config

from al.config.checks import check_words
from al.config.settings import normalise
from al.io.errors import ConfigError

from .kit import config, load


@pytest.mark.parametrize("key", ["run", "data_root"])
@pytest.mark.parametrize(
    "written", ["007", "2024_05", "1.10", "trial #2", "/data/set #2", "1e3", "[a]", "a: b", '"007"']
)
def test_text_that_snakemake_reads_as_something_else(key: str, written: str) -> None:
    words = ["snakemake", "--config", f"{key}=earlier", f"{key}={written}"]
    with pytest.raises(ConfigError) as refusal:
        check_words(parse_config(words[2:]), words)
    assert str(refusal.value).startswith(f"{key}={written} is read as ")


@pytest.mark.parametrize(
    "written", ["7", "2024", "1.1", "a-b_c.d", "/data/Münster 2", "~/x", "", '"mine"', "'a-b'"]
)
def test_text_that_it_reads_as_text(written: str) -> None:
    for word in (f"run={written}", f"--config=run={written}"):
        check_words(parse_config([f"run={written}"]), ["--config", word])


@given(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from(["{:r}", "{:e}", "{:g}"]))
def test_numbers_in_every_usual_form(number: float, form: str) -> None:
    written = repr(number) if form == "{:r}" else form.format(number)
    (found,) = normalise({"convnet": {"learning_rate": written}})["convnet"].values()
    assert isinstance(found, int | float) and found == float(written)


@pytest.mark.parametrize(
    "word", ["1:30", "0o17", "0x1f", "1_000", "on", "yes", ".inf", "nan", "1e"]
)
def test_what_only_yaml_takes_for_a_number_stays_text(word: str) -> None:
    assert normalise({"convnet": {"learning_rate": word}})["convnet"] == {"learning_rate": word}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shards": 10**12}, "shards: 1000000000000 is greater than"),
        ({"seeds": 10**8}, "seeds: 100000000; allowed"),
        ({"max_minutes": 10**12}, "max_minutes: "),
        ({"budget": "1000000000x1"}, "budget.0: "),
        ({"run": "mine\n"}, "run: "),
        ({"run": "x" * 101}, "run: "),
        ({"region": "1:30,24"}, "region.0: '1:30'"),
        ({"random_centres": {"low": 2, "high": 1}}, "random_centres: low 2 above high 1"),
        ({"split": {"folds": 4, "train": 0.6, "val": 0, "test": 0.4}}, "allowed: shares or folds"),
    ],
)
def test_absurd_values_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        load(**changes)
    assert message in str(refusal.value)


def test_folds_of_a_dataset_give_way_to_shares() -> None:
    shares = {"train": 0.6, "val": 0, "test": 0.4}
    given = config(split={"folds": 5, **shares})
    assert normalise({**given, "split": {"folds": None, **shares}})["split"] == shares
    with pytest.raises(ConfigError, match="folds: null"):
        load(split={"folds": 5, **shares})

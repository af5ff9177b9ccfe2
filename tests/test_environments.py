"""One set of pins: pyproject, constraints, conda files and the installed packages agree."""

from __future__ import annotations

import importlib.metadata
import re
import tomllib
from pathlib import Path

import pytest
import yaml

from al.learners import LEARNERS

ROOT = Path(__file__).parents[1]
LEARNER_EXTRAS = {"convnet": [], **{name: [name] for name in ("pixels", "mmseg", "nnunet", "hact")}}
EXTRAS = {
    **LEARNER_EXTRAS,
    "pixels": ["pixels", "encoder"],
    "hact_import": ["hact", "dgl"],
}
OF_OTHERS = {"histocartography"}  # runs nothing of this project's
ENVIRONMENTS = sorted({path.stem for path in (ROOT / "envs").glob("*.yaml")} - OF_OTHERS)


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pin(line: str) -> tuple[str, str]:
    name, separator, version = line.partition("==")
    assert separator and re.fullmatch(r"[\w.]+", version), f"not an exact pin: {line!r}"
    return canonical(name), version


def constraints() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [pin(line) for line in lines if line and not line.startswith("#")]
    assert len(dict(pins)) == len(pins), "a package is pinned twice"
    return dict(pins)


def requirements(extras: list[str]) -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    listed = list(project["dependencies"])
    for extra in extras:
        listed += project["optional-dependencies"][extra]
    return {canonical(re.match(r"[\w.-]+", line).group()) for line in listed}  # type: ignore[union-attr]


def conda_pins(environment: str) -> dict[str, str]:
    content = yaml.safe_load((ROOT / "envs" / f"{environment}.yaml").read_text())
    (pip,) = [part["pip"] for part in content["dependencies"] if isinstance(part, dict)]
    return dict(pin(line) for line in pip)


def test_every_direct_dependency_is_pinned() -> None:
    extras = [
        "workflow",
        "annotate",
        "pixels",
        "encoder",
        "mmseg",
        "nnunet",
        "hact",
        "dgl",
        "slurm",
        "docs",
        "dev",
    ]
    assert requirements(extras) - constraints().keys() == set()


def test_every_learner_has_an_environment_file() -> None:
    assert sorted(EXTRAS) == ENVIRONMENTS
    assert LEARNER_EXTRAS.keys() == set(LEARNERS)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_conda_file_has_the_pins_of_the_constraints(environment: str) -> None:
    pins, allowed = conda_pins(environment), constraints()
    assert {name: allowed.get(name) for name in pins} == pins


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_conda_file_holds_what_its_extra_asks_for(environment: str) -> None:
    wanted = requirements(["workflow", *EXTRAS[environment]])
    assert wanted - conda_pins(environment).keys() == set()


def test_installed_packages_have_the_pinned_versions() -> None:
    wrong = {}
    for name, version in constraints().items():
        try:
            installed = importlib.metadata.version(name).partition("+")[0]
        except importlib.metadata.PackageNotFoundError:
            continue  # belongs to an extra that is not installed here
        if installed != version:
            wrong[name] = f"{installed} installed, {version} pinned"
    assert not wrong


def test_library_stands_on_three_packages_and_is_packaged_alone() -> None:
    content = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert requirements([]) == {"numpy", "numba", "scikit-learn"}
    assert content["tool"]["setuptools"]["packages"] == ["decomp_core"]
    assert (ROOT / "decomp_core" / "py.typed").exists()

"""What is typed wrong is told at once: Snakemake, which would tell it, takes seconds to load."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml
from snakemake.utils import update_config

from al.io.errors import ConfigError, nearest
from al.paths import ROOT

from .checks import check_words
from .settings import load_settings, read_yaml

# Words, as they may be shortened, and keys of profiles that bring settings from elsewhere or mean
# another working folder
ELSEWHERE = ("--conf", "-C", "--dir", "-d", "--snakef", "-s", "--work", "--profile=")
KEYS = frozenset({"config", "configfile", "configfiles", "directory", "snakefile"})


def dataset_file(name: str, root: Path = ROOT) -> Path:
    """Return the file of a dataset. Raises ConfigError for an unknown name, with the nearest."""
    folder = root / "config/datasets"
    known = sorted(path.stem for path in folder.glob("*.yaml"))
    if name not in known:
        raise ConfigError(f"dataset {name!r} is unknown; {nearest(name, known)}")
    return folder / f"{name}.yaml"


def refuse_typed(settings: Sequence[str], words: Sequence[str]) -> None:
    """Refuse settings that the workflow would refuse.

    Args:
        settings: ``key=value``, as typed.
        words: all others, those of a profile among them. Where they bring settings from elsewhere,
            nothing is looked at: Snakemake puts these together.

    Raises:
        ConfigError: naming the key, what was found and what is allowed.
    """
    if Path("Snakefile").resolve() != ROOT / "Snakefile":  # Snakemake's own choice
        return
    if any(word.startswith(ELSEWHERE) for word in words) or not _profile_is_plain(words):
        return
    typed: dict[str, Any] = {}
    for word in settings:
        key, _, value = word.partition("=")
        typed[key] = _read(value)
    config = dict(read_yaml(ROOT / "config/config.yaml"))
    update_config(config, read_yaml(dataset_file(str(typed.get("dataset", config["dataset"])))))
    update_config(config, typed)
    check_words(config, settings)
    load_settings(config, ROOT)


def _profile_is_plain(words: Sequence[str]) -> bool:
    """Whether what Snakemake reads beside the command line is one file, without settings."""
    if "SNAKEMAKE_PROFILE" in os.environ or Path("profiles/default").exists():
        return False
    if "--profile" not in words:
        return True
    folder = Path(*words[words.index("--profile") + 1 :][:1])
    files = [file.name for file in folder.glob("config*.yaml")]
    return files == ["config.yaml"] and not KEYS & set(read_yaml(folder / "config.yaml"))


def _read(value: str) -> Any:
    """Read a value as Snakemake does: a number, a truth value, YAML whose parts are text."""
    value = value.strip("'\"")
    if value == "":
        return None
    for kind in (int, float):
        with suppress(ValueError):
            return kind(value)
    if value in ("True", "False"):
        return value == "True"
    with suppress(yaml.YAMLError):
        return yaml.load(value, Loader=yaml.BaseLoader)  # reads text, lists and mappings alone
    return value

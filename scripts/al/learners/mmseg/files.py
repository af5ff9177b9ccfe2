"""Finding and reading configurations of mmsegmentation."""

from __future__ import annotations

import difflib
import importlib.util
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from al.io.errors import ConfigError, nearest
from al.paths import ROOT

from .settings import MmsegSettings

OURS = ROOT / "config/mmseg"
# What of a configuration is used.
USED = (
    "model", "optim_wrapper", "param_scheduler", "train_cfg", "train_pipeline", "train_dataloader",
    "crop_size",
)  # fmt: skip


def find_config(name: str) -> Path:
    """Return the file of a configuration.

    Raises:
        ConfigError: for a file that is not there, or an unknown name with the nearest one.
    """
    if name.endswith(".py"):
        if not Path(name).is_file():
            raise ConfigError(f"mmseg.config: {name} is no file")
        return Path(name)
    found = {p.stem: p for folder in (_packaged(), OURS) for p in folder.rglob("*.py")}
    if name not in found or "_base_" in found[name].parts:
        known = [stem for stem, p in found.items() if "_base_" not in p.parts]
        alike = difflib.get_close_matches(name, known, n=3, cutoff=0)
        raise ConfigError(
            f"mmseg.config: {name!r} is unknown; did you mean {' or '.join(map(repr, alike))}? "
            f"allowed: a file .py, a name in config/mmseg or one of the {len(known)} names that "
            f"mmsegmentation brings, in {_packaged()}"
        )
    return found[name]


def _packaged() -> Path:
    spec = importlib.util.find_spec("mmseg")
    if spec is None or spec.origin is None:
        raise ImportError("No module named 'mmseg'")
    return Path(spec.origin).parent / ".mim/configs"


def read_config(settings: MmsegSettings) -> Config:
    """Read a configuration with the changes of ``options``.

    Raises:
        ConfigError: for a file that cannot be read, or an option that changes nothing.
    """
    file = find_config(settings.config)
    try:
        config = Config.fromfile(file)
    except Exception as error:  # a configuration is code: it may raise anything
        raise ConfigError(f"mmseg.config: {file}: {_told(error)}") from error
    for key in ("model", "optim_wrapper"):
        if not isinstance(config.get(key), Mapping):
            raise ConfigError(f"mmseg.config: {file} has no {key}; allowed: a whole configuration")
    for key in settings.options:
        _check_option(config, key)
    try:
        config.merge_from_dict(dict(settings.options))
    except Exception as error:  # whatever mmengine raises for what does not fit
        raise ConfigError(f"mmseg.options: {type(error).__name__}: {error}") from error
    return config


def _told(error: Exception) -> str:
    text = re.split(r"[,.]?\s+(?:the )?current sys\.path", str(error))[0]
    if "mmsegmentation is not installed" in text:
        return (
            f"_base_ = 'mmseg::...' does not work here; allowed: the file's path in {_packaged()}"
        )
    if isinstance(error, SyntaxError):
        text = f"{error.msg}, line {error.lineno}"
    return f"{type(error).__name__}: {text}"


def _check_option(config: Config, key: str) -> None:
    """Refuse a dotted key of which all but the last word are not in the configuration."""
    words, place = str(key).split("."), config.to_dict()
    if words[0] not in USED:
        raise ConfigError(f"mmseg.options: {key}: {nearest(words[0], USED)}")
    for number, word in enumerate(words[:-1]):
        if isinstance(place, list | tuple) and word.isdigit() and int(word) < len(place):
            place = place[int(word)]
        elif isinstance(place, Mapping) and word in place:
            place = place[word]
        else:
            known = place if isinstance(place, Mapping) else ()
            found = ".".join(words[: number + 1])
            raise ConfigError(f"mmseg.options: {found} is not there; {nearest(word, known)}")


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every mapping in a nested configuration, outer ones first."""
    if isinstance(value, dict):
        yield value
        for held in value.values():
            yield from nodes(held)
    elif isinstance(value, list | tuple):
        for held in value:
            yield from nodes(held)

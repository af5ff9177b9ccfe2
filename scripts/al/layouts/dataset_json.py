"""``dataset.json`` of nnU-Net's raw format: classes, regions, channels and the file ending."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from al.io.errors import ConfigError

NAME = "dataset.json"
ENDINGS = (".nii.gz", ".nii")


class DatasetJson(NamedTuple):
    """What a ``dataset.json`` says.

    Attributes:
        file: where it lies.
        classes: names; a position is the value in the label files.
        void: value of voxels without a label (``ignore``), or ``None``.
        groups: values of each region by name where labels are regions, else ``None``.
        channels: names by number, empty where the file has none.
        order: class that each region writes, ``regions_class_order``; empty without regions.
        training: ``numTraining``, or ``None``.
    """

    file: Path
    classes: list[str]
    void: int | None
    groups: dict[str, list[int]] | None
    channels: dict[int, str]
    order: list[int]
    training: int | None


def complete(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings with what ``dataset.json`` says; those of other layouts as they are.

    ``classes``, ``groups`` and ``layout_options.void`` are filled in where they are not set.
    Classes that are set must be as many as in the file, with the same values; their names may
    differ, and without a file they are taken as they are. For the learner ``nnunet`` so are
    ``modality``, the name of the channel that is read, and its nested classes, the regions.

    Args:
        settings: as normalised, not validated yet.

    Raises:
        ConfigError: no classes at all, a file that cannot be used, or one that disagrees.
    """
    options = settings.get("layout_options")
    if settings.get("layout") != "nnunet_raw" or not isinstance(options, Mapping):
        return settings
    root, classes = settings.get("data_root"), settings.get("classes")
    file = None if root is None else Path(root) / NAME
    if file is None or not file.is_file():
        if classes:
            return settings
        raise ConfigError(_missing(settings.get("dataset"), root))
    found = read_dataset_json(file)
    if classes and len(classes) != len(found.classes):
        raise ConfigError(
            f"classes: {len(classes)} ({', '.join(map(str, classes))}); {file} has "
            f"{_shown(found.classes)}; allowed: as many (names may differ), or classes: null"
        )
    _check_channel(options.get("channel"), found)
    void = options.get("void")
    if void is not None and found.void not in (None, void):
        raise ConfigError(f"layout_options.void: {void!r}; `ignore` in {file} is {found.void}")
    if found.void is not None:  # untouched otherwise: an option that is set is part of a run
        options = {**options, "void": found.void}
    groups = found.groups if settings.get("groups") is None else settings["groups"]
    filled = {"classes": classes or found.classes, "groups": groups, "layout_options": options}
    return {**settings, **filled, **_for_nnunet(settings, options.get("channel"), found)}


def read_dataset_json(file: Path) -> DatasetJson:
    """Read and check a ``dataset.json``.

    ``labels`` maps names to values, or, as nnU-Net 1 and the Decathlon wrote it, values to names.
    Values are 0, 1, ... without gaps, 0 the background. A label called ``ignore`` is no class.

    A list of values is a region: it becomes a group, and every value a class. A value that is a
    label by itself has its name; another one is the "rest of" the region that
    ``regions_class_order`` writes it for, as it is what later regions leave of that one.

    Raises:
        ConfigError: naming the file, the key, what was found and what is allowed.
    """
    held = _parse(file)
    if "dataset" in held:
        raise ConfigError(
            f"{file}: dataset lists the files of every case; allowed: no such key, files in "
            "imagesTr and labelsTr"
        )
    ending = held.get("file_ending")
    if ending is not None and ending not in ENDINGS:
        raise ConfigError(f"{file}: file_ending {ending!r}; allowed: {', '.join(ENDINGS)}")
    labels, void = _labels(file, held.get("labels"))
    regions = {name: values for name, values in labels.items() if values != [0]}
    nested = any(len(values) > 1 for values in labels.values())
    order = _order(file, held.get("regions_class_order"), regions) if nested else []
    classes = _classes(labels, regions, order)
    if len(set(classes)) < len(classes):
        raise ConfigError(f"{file}: labels give the classes {classes}; allowed: each name once")
    channels = _channels(file, held.get("channel_names", held.get("modality")) or {})
    groups, training = regions if nested else None, held.get("numTraining")
    return DatasetJson(file, classes, void, groups, channels, order, training)


def _parse(file: Path) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in pairs]
        if twice := sorted({key for key in keys if keys.count(key) > 1}):
            raise ConfigError(f"{file}: {twice} defined twice")
        return dict(pairs)

    try:
        held = json.loads(file.read_text(encoding="utf-8-sig"), object_pairs_hook=unique)
    except ConfigError:
        raise
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file}: unreadable ({error})") from error
    if not isinstance(held, dict):
        raise ConfigError(f"{file}: a {type(held).__name__}; allowed: an object with `labels`")
    return held


def _labels(file: Path, given: Any) -> tuple[dict[str, list[int]], int | None]:
    """Return sorted values by name without ``ignore``, and the value of that."""
    if not isinstance(given, dict) or not given:
        raise ConfigError(f"{file}: labels {given!r}; allowed: {{name: value}} from background: 0")
    if all(key.isdecimal() and isinstance(name, str) for key, name in given.items()):
        if len(set(given.values())) < len(given):
            raise ConfigError(f"{file}: labels {given}; allowed: each name once")
        given = {name: int(key) for key, name in given.items()}
    labels = {name: _values(file, name, value) for name, value in given.items()}
    ignored = labels.pop("ignore", [None])
    if len(ignored) > 1:
        raise ConfigError(f"{file}: labels.ignore {ignored}; allowed: one value")
    used = {value for values in labels.values() for value in values}
    if ignored[0] in used:
        raise ConfigError(
            f"{file}: labels.ignore {ignored[0]} is another label's; allowed: its own"
        )
    if not used or used == {0}:
        raise ConfigError(f"{file}: labels {given}; allowed: background: 0 and at least one more")
    if gaps := sorted(set(range(max(used) + 1)) - used):
        raise ConfigError(
            f"{file}: labels have the values {sorted(used)}, without {gaps}; allowed: 0 to n - 1 "
            "without gaps"
        )
    _check_overlap(file, labels)
    return labels, ignored[0]


def _values(file: Path, name: str, value: Any) -> list[int]:
    values = value if isinstance(value, list) else [value]
    if not values or any(type(v) is not int or not 0 <= v < 65536 for v in values):
        raise ConfigError(
            f"{file}: labels.{name} {value!r}; allowed: a whole number from 0, or a list of them"
        )
    return sorted(set(values))


def _check_overlap(file: Path, labels: Mapping[str, list[int]]) -> None:
    """Refuse two names for one value and regions that hold the background."""
    seen: dict[tuple[int, ...], str] = {}
    for name, values in labels.items():
        if len(values) > 1 and 0 in values:
            raise ConfigError(
                f"{file}: labels.{name} {values} holds 0, the background; allowed: others"
            )
        other = seen.setdefault(tuple(values), name)
        if other != name:
            raise ConfigError(f"{file}: labels.{name} {values} is what {other!r} is; allowed: one")


def _order(file: Path, given: Any, regions: Mapping[str, list[int]]) -> list[int]:
    used = sorted({value for values in regions.values() for value in values})
    fits = isinstance(given, list) and len(given) == len(regions)
    if not fits or not all(value in used for value in given):
        raise ConfigError(
            f"{file}: regions_class_order {given!r}; allowed: {len(regions)} of the values {used}, "
            f"one for each of {', '.join(regions)}"
        )
    return given


def _classes(
    labels: Mapping[str, list[int]], regions: Mapping[str, list[int]], order: Iterable[int]
) -> list[str]:
    names = {values[0]: name for name, values in labels.items() if len(values) == 1}
    for name, value in zip(regions, order, strict=False):  # no order where labels are exclusive
        if value in regions[name]:
            names.setdefault(value, f"rest of {name}")
    names.setdefault(0, "background")
    highest = max(max(values) for values in labels.values())
    return [names.get(value, f"label {value}") for value in range(highest + 1)]


def _channels(file: Path, given: Any) -> dict[int, str]:
    if not isinstance(given, dict) or not all(str(key).isdecimal() for key in given):
        raise ConfigError(f"{file}: channel_names {given!r}; allowed: {{number: name}}")
    return {int(key): str(name) for key, name in given.items()}


def _check_channel(channel: Any, found: DatasetJson) -> None:
    names = ", ".join(f"{number} ({name})" for number, name in sorted(found.channels.items()))
    known = list(found.channels)
    if len(known) > 1 if channel is None else known and channel not in known:
        shown = "null" if channel is None else repr(channel)
        raise ConfigError(
            f"layout_options.channel: {shown}; {found.file} has {names}; allowed: the number of "
            "one, as one is read"
        )


def _for_nnunet(settings: Mapping[str, Any], channel: Any, found: DatasetJson) -> dict[str, Any]:
    """Return what of the section ``nnunet`` the file decides where it is not set."""
    section = settings.get("nnunet") or {}
    if settings.get("learner") != "nnunet" or not isinstance(section, Mapping):
        return {}
    filled = dict(section)
    if channel is None and len(found.channels) == 1:
        channel = min(found.channels)
    if section.get("modality") is None and channel in found.channels:
        filled["modality"] = found.channels[channel]
    if section.get("nested") is None and found.groups is not None:
        filled |= {"nested": list(found.groups.values()), "nested_order": found.order}
    return {"nnunet": filled} if filled != section else {}


def _missing(dataset: Any, root: str | None) -> str:
    """Say where the file is missed, and where it lies if that is one folder further down."""
    if root is None:
        return f"dataset {dataset!r} needs data_root=FOLDER, the one that holds {NAME}"
    if not Path(root).is_dir():
        return f"data_root {root!r} is not a folder"
    near = sorted(path.parent.name for path in Path(root).glob(f"*/{NAME}"))
    hint = f"; there is one in {', '.join(near[:5])}" if near else ""
    return (
        f"{Path(root) / NAME}: no such file{hint}; allowed: one, or `classes` in the dataset's file"
    )


def _shown(classes: Iterable[str]) -> str:
    return ", ".join(f"{value} {name}" for value, name in enumerate(classes))

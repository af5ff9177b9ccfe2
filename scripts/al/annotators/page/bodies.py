"""What clients send, checked value by value: nothing else is taken from a request."""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from unicodedata import category, normalize
from urllib.parse import unquote

import numpy as np

from al.layouts.base import BREAKING

LONGEST_NAME, LONGEST_REASON = 60, 500  # characters
MOST_SECONDS, MOST_USES, MOST_TOOLS = 1e7, 10**9, 50
SMALL = 1 << 16  # bytes of a body without pixels
_SESSION = re.compile(r"[0-9a-f]{16,64}")
_TOOL = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_UNSEEN = (*BREAKING, "Cf")  # turns the direction of what follows, or makes names look alike
_NUMBER = re.compile(r"[0-9]{1,7}")


class Caller(NamedTuple):
    """Who asks: the name of a person, and the random name of a tab."""

    annotator: str
    session: str


class Refusal(Exception):
    """A request that is refused, with a sentence for people.

    Attributes:
        status: of the answer, 4xx or 507.
        body: of the answer, ``message`` in it.
    """

    def __init__(self, status: int, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"message": message, **more}


def json_of(data: bytes) -> dict[str, Any]:
    """Return an object of JSON; of nothing an empty one. Raises Refusal (400)."""
    try:
        held = json.loads(data or b"{}")
    except (ValueError, RecursionError) as error:
        raise Refusal(400, f"The body is no JSON: {error}.") from None
    if not isinstance(held, dict):
        raise Refusal(400, "The body is no object of JSON.")
    return held


def whole(held: Mapping[str, Any], key: str, most: int, none: bool = False) -> int | None:
    """Return a whole number from 0 to ``most``, or ``None`` where that is allowed."""
    value = held.get(key)
    if value is None and none:
        return None
    if type(value) is not int or not 0 <= value <= most:
        raise Refusal(400, f"{key}: allowed: a whole number from 0 to {most}.")
    return value


def seconds_of(held: Mapping[str, Any]) -> float:
    """Return the seconds at work."""
    value = held.get("seconds", 0)
    # Compared as it is: a whole number may be too long for a float, and NaN is in no range.
    if type(value) not in (int, float) or not 0 <= value <= MOST_SECONDS:
        raise Refusal(400, f"seconds: allowed: a number from 0 to {MOST_SECONDS:.0f}.")
    return float(value)


def tools_of(held: Mapping[str, Any]) -> dict[str, int]:
    """Return how often each tool was used."""
    value = held.get("tools", {})
    if not isinstance(value, dict) or len(value) > MOST_TOOLS:
        raise Refusal(400, f"tools: allowed: an object of up to {MOST_TOOLS} counts.")
    for name in value:
        if not _TOOL.fullmatch(name):
            raise Refusal(400, "tools: allowed: names of up to 32 small letters, digits, - and _.")
        whole(value, name, MOST_USES)
    return dict(value)


def proposal_of(held: Mapping[str, Any], most: int) -> tuple[bool, int | None]:
    """Return whether a proposal was shown, and how many of up to ``most`` pixels were changed."""
    value = held.get("proposal", {"shown": False})
    if not isinstance(value, dict) or type(value.get("shown")) is not bool:
        raise Refusal(400, "proposal: allowed: an object with shown (true or false) and changed.")
    return value["shown"], whole(value, "changed", most, none=True)


def numbers_of(held: Mapping[str, Any], key: str) -> set[int]:
    """Return a list of ids."""
    value = held.get(key, [])
    if not isinstance(value, list) or any(type(v) is not int for v in value):
        raise Refusal(400, f"{key}: allowed: a list of whole numbers.")
    return set(value)


def reason_of(held: Mapping[str, Any]) -> str:
    """Return why a region was skipped, in one line."""
    value = held.get("reason")
    text = " ".join(value.split()) if isinstance(value, str) else ""
    if not 1 <= len(text) <= LONGEST_REASON or _unseen(text):
        raise Refusal(400, f"reason: allowed: 1 to {LONGEST_REASON} characters that are seen.")
    return text


def most_bytes(pixels: int) -> int:
    """Return how large a body with that many pixels may be."""
    return SMALL + 4 * -(-pixels // 3)


def pixels_of(held: Mapping[str, Any], shape: tuple[int, ...]) -> np.ndarray:
    """Return the labels of a box, uint8 of ``shape``, from base64 of their bytes in C order."""
    value, size = held.get("pixels"), math.prod(shape)
    wrong = Refusal(400, f"pixels: allowed: base64 of {size} bytes.")
    if not isinstance(value, str) or len(value) != 4 * -(-size // 3):
        raise wrong
    try:
        data = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise wrong from None
    if len(data) != size:
        raise wrong
    return np.frombuffer(data, np.uint8).reshape(shape)


def text_of(pixels: np.ndarray) -> str:
    """Return uint8 labels as ``pixels_of`` reads them."""
    return base64.b64encode(np.ascontiguousarray(pixels, np.uint8).tobytes()).decode()


def annotator_of(header: str | None) -> str:
    """Return the name of an annotator from its URL-encoded header. Raises Refusal (403)."""
    try:
        name = normalize("NFC", unquote(header or "", errors="strict")).strip()
    except UnicodeDecodeError:
        name = ""
    if not 1 <= len(name) <= LONGEST_NAME or _unseen(name):
        raise Refusal(
            403, f"Tell your name: 1 to {LONGEST_NAME} characters, none that is not seen."
        )
    return name


def session_of(header: str | None) -> str:
    """Return the random name of a tab. Raises Refusal (403)."""
    if not _SESSION.fullmatch(header or ""):
        raise Refusal(403, "X-Session: allowed: 16 to 64 digits of 0-9 and a-f.")
    return str(header)


def number_of(text: str | None, name: str, most: int) -> int:
    """Return a whole number below ``most`` from an address. Raises Refusal (404)."""
    if not _NUMBER.fullmatch(text or "") or int(str(text)) >= most:
        raise Refusal(404, f"There is no such {name}.")
    return int(str(text))


def _unseen(text: str) -> bool:
    return any(category(letter) in _UNSEEN for letter in text)

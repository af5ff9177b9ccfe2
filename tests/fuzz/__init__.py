"""Damaged and senseless input, made at random: read rightly, or refused in the project's own words.

``make fuzz`` tries thousands (``FUZZ``, examples per target), the test suite a few that never
change. What fails is kept in ``.hypothesis`` and tried first the next time; a fault that was mended
becomes an ``@example`` or a test where its kind is tested.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

_asked = os.environ.get("FUZZ")
FUZZING = settings(
    max_examples=int(_asked or 42),
    derandomize=_asked is None,
    deadline=20_000,  # ms; a file of some hundred bytes must not take longer
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)

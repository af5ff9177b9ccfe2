"""Tables and figures made from ``metrics.json`` files; nothing here trains or selects."""

"""Every module here registers its selectors when it is imported; a new one needs no other line."""

from importlib import import_module
from pkgutil import iter_modules

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

"""The lock on a work folder, by the name that learners use."""

from al.io.locking import LockedError, locked

__all__ = ["LockedError", "locked"]

"""What a failure of the database means, told alike for SQLite and PostgreSQL. Pure.

The driver of PostgreSQL gives one class of error for a lost connection, a full disk and a value that no column takes; only
the code of the standard (SQLSTATE) tells them apart.
"""

import sqlite3
from enum import StrEnum

from sqlalchemy.exc import DBAPIError, StatementError


class Fault(StrEnum):
    """Whose fault it is, and what helps."""

    VALUE = "value"
    """The database cannot hold what it was given; it never will."""
    CLASH = "clash"
    """It would break a rule between rows: somebody else has written the same name, say."""
    FULL = "full"
    """The disk is full, or does not write. Nothing was changed."""
    BUSY = "busy"
    """Others were in the way (deadlock, serialization, lock). Nothing was changed; again at once may do."""
    BUG = "bug"
    """The statement itself is wrong."""
    AWAY = "away"
    """Not reached, lost on the way, shut down, or out of what it needs. Again later may do."""


class DatabaseAway(Exception):
    """No connection could be made. The message holds no secret."""


FAILURES = (StatementError, DatabaseAway, OverflowError, UnicodeEncodeError)
"""What a transaction may end with."""

_BY_CLASS = {"22": Fault.VALUE, "54": Fault.VALUE, "23": Fault.CLASH, "40": Fault.BUSY, "42": Fault.BUG}
_BY_CODE = {"53100": Fault.FULL, "55P03": Fault.BUSY}


def fault_of(error: BaseException) -> Fault:
    """Of one of FAILURES. What is not known counts as AWAY: nothing is thrown away for it."""
    if isinstance(error, OverflowError | UnicodeEncodeError):
        return Fault.VALUE
    if not isinstance(error, DBAPIError):
        return Fault.VALUE if isinstance(error, StatementError) else Fault.AWAY
    code = str(getattr(error.orig, "sqlstate", None) or "")
    if code:
        return _BY_CODE.get(code) or _BY_CLASS.get(code[:2], Fault.AWAY)
    return _of_sqlite(error.orig) if isinstance(error.orig, sqlite3.Error) else Fault.AWAY


def _of_sqlite(error: sqlite3.Error) -> Fault:
    if isinstance(error, sqlite3.IntegrityError):
        return Fault.CLASH
    if isinstance(error, sqlite3.OperationalError):
        text = str(error)
        if "disk" in text:
            return Fault.FULL
        if "locked" in text:
            return Fault.BUSY
        return Fault.BUG if "syntax" in text or "no such" in text else Fault.AWAY
    return Fault.VALUE if isinstance(error, sqlite3.InterfaceError | sqlite3.DataError) else Fault.AWAY

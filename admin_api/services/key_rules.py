"""How a gateway key's row begins, and how much of a secret may be shown. Pure."""

import math
from collections.abc import Sequence

import msgspec

from admin_api.services.plane import Plane
from admin_api.store.keys import KeyBudget, KeyRow
from gateway.config.keys import digest_of

NANO = 1_000_000_000


def new_key_row(plane: Plane, secret: str, name: str, revision: int) -> KeyRow:
    """A key without limits. The version begins at 1 and rises with every change."""
    now = plane.now()
    return KeyRow(
        id=plane.new_id(),
        name=name,
        digest=digest_of(secret, plane.pepper),
        hint=secret_hint(secret),
        version=1,
        revision=revision,
        allowed_models=[],
        rpm=0,
        tpm=0,
        concurrency=0,
        budget_nano_usd=0,
        budget_period="",
        priority="interactive",
        is_strict=False,
        is_no_log=False,
        cache_scope="",
        cache="",
        single_flight="",
        store_bodies="",
        unshaped=[],
        expires_at=0.0,
        is_active=True,
        managed=False,
        created_at=now,
        updated_at=now,
    )


def with_budgets(row: KeyRow, budgets: Sequence[KeyBudget]) -> KeyRow:
    """The key with these budgets, at most two, in place of its own. Shares to warn from stay where there is no budget."""
    first = budgets[0] if budgets else KeyBudget(0, "", row.warn_share)
    second = budgets[1] if len(budgets) > 1 else KeyBudget(0, "", row.second_warn_share)
    return msgspec.structs.replace(
        row,
        budget_nano_usd=first.nano_usd,
        budget_period=first.period,
        warn_share=first.warn_share,
        second_budget_nano_usd=second.nano_usd,
        second_budget_period=second.period,
        second_warn_share=second.warn_share,
    )


def rotated(row: KeyRow, secret: str, plane: Plane, until: float) -> KeyRow:
    """The key with a new secret; that of before is valid until then, 0 = no longer. Its limits go on counting."""
    return msgspec.structs.replace(
        row,
        digest=digest_of(secret, plane.pepper),
        hint=secret_hint(secret),
        counted_as=row.counted_as or row.digest,
        old_digest=row.digest if until else "",
        old_until=until,
    )


def secret_hint(secret: str) -> str:
    """What may be shown of a secret: enough to tell two apart, too little to use. Short ones show nothing."""
    return f"{secret[:6]}…{secret[-4:]}" if len(secret) >= 20 else "…" if secret else ""


def nano_usd(usd: float) -> int:
    """Dollars as integer nano-dollars."""
    return math.floor(usd * NANO + 0.5)

"""What a combo's `config` may say to routing. Pure; the config file and the API check by the same rules."""

from collections.abc import Mapping
from typing import get_args

from gateway.config.snapshot import AccountStrategy, Tier

MAX_STICKY = 1_000_000


def config_problems(config: Mapping[str, object]) -> list[str]:
    """Why a combo's `config` is refused, each with the name of its field in it. Fields of other rooms are let be.

    `account_strategy`: how connections are chosen; `sticky_limit`: requests that stay with one choice before the next
    has its turn; `affinity`: conversations keep their connection; `tiers`: true, or names of tiers with commas between.
    """
    problems: list[str] = []
    if "account_strategy" in config and config["account_strategy"] not in get_args(AccountStrategy):
        problems.append(f"`account_strategy` must be one of {', '.join(get_args(AccountStrategy))}")
    if "sticky_limit" in config:
        limit = config["sticky_limit"]
        if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MAX_STICKY:
            problems.append(f"`sticky_limit` must be a whole number from 1 to {MAX_STICKY}")
    if not isinstance(config.get("affinity", False), bool):
        problems.append("`affinity` must be true or false")
    if not _is_tiers(config.get("tiers", False)):
        problems.append(f"`tiers` must be true, false, or some of {', '.join(get_args(Tier))}, with commas between")
    return problems


def _is_tiers(given: object) -> bool:
    if not isinstance(given, str):
        return isinstance(given, bool)
    names = [name.strip() for name in given.split(",")]
    return len(set(names)) == len(names) and set(names) <= set(get_args(Tier))

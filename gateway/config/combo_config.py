"""What a combo's `config` may say to routing. Pure; the config file and the API check by the same rules."""

from collections.abc import Mapping
from typing import get_args

from gateway.config.snapshot import AccountStrategy, Tier

MAX_STICKY = 1_000_000
MAX_RETRIES = 10
MAX_PROMPT_CHARS = 50_000
GOES_ON: Mapping[str, str] = {
    "context_length": "context_length_fallback",
    "content_policy": "content_policy_fallback",
}
"""Outcomes that are the caller's fault, and the option that has another model tried all the same."""


OPTIONS = frozenset(
    {
        "account_strategy",
        "sticky_limit",
        "affinity",
        "max_retries",
        "cache",
        "single_flight",
        "system_prompt",
        "tiers",
        *GOES_ON.values(),
    }
)
"""All that is obeyed."""


def config_problems(config: Mapping[str, object]) -> list[str]:
    """Why a combo's `config` is refused, each with the name of its field in it. Fields of other rooms are let be.

    `account_strategy`: how connections are chosen; `sticky_limit`: requests that stay with one choice before the next
    has its turn; `affinity`: conversations keep their connection; `max_retries`: how often a target that failed is asked
    again before the next one; `cache`: its answers are kept and served again, or not, whatever the settings say;
    `tiers`: true, or names of tiers with commas between;
    `single_flight`: equal requests under way at the same time ask once (where `settings: sharing:` lets combos say so);
    `context_length_fallback`, `content_policy_fallback`: go on with another model when one refuses a request for that;
    `system_prompt`: put before the caller's own.
    """
    problems: list[str] = []
    if "account_strategy" in config and config["account_strategy"] not in get_args(AccountStrategy):
        problems.append(f"`account_strategy` must be one of {', '.join(get_args(AccountStrategy))}")
    if "sticky_limit" in config:
        limit = config["sticky_limit"]
        if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MAX_STICKY:
            problems.append(f"`sticky_limit` must be a whole number from 1 to {MAX_STICKY}")
    retries = config.get("max_retries", 0)
    if isinstance(retries, bool) or not isinstance(retries, int) or not 0 <= retries <= MAX_RETRIES:
        problems.append(f"`max_retries` must be a whole number from 0 to {MAX_RETRIES}")
    prompt = config.get("system_prompt", "")
    if not isinstance(prompt, str) or len(prompt) > MAX_PROMPT_CHARS:
        problems.append(f"`system_prompt` must be a text of at most {MAX_PROMPT_CHARS} characters")
    switches = ("affinity", "cache", "single_flight", *GOES_ON.values())
    problems += [
        f"`{name}` must be true or false" for name in switches if not isinstance(config.get(name, False), bool)
    ]
    if not _is_tiers(config.get("tiers", False)):
        problems.append(f"`tiers` must be true, false, or some of {', '.join(get_args(Tier))}, with commas between")
    return problems


def _is_tiers(given: object) -> bool:
    if not isinstance(given, str):
        return isinstance(given, bool)
    names = [name.strip() for name in given.split(",")]
    return len(set(names)) == len(names) and set(names) <= set(get_args(Tier))

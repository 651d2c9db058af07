"""All shaping of one revision, compiled: a request's body in, the body that goes on out.

The work is a generator that yields between slices, so that whoever runs it can give the loop its turn. When nothing is
changed the very same bytes come back.
"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field

from gateway.dialects.surrogates import json_text, read_json
from gateway.domain.dialect import CallerDialect
from gateway.domain.errors import BadRequest, BodyTooLarge
from gateway.domain.shaping import OFF, Pii, Shaping
from gateway.shaping.access import Access, Json
from gateway.shaping.anthropic_messages import AnthropicMessages
from gateway.shaping.defaults import Compiled, compile_defaults, set_defaults
from gateway.shaping.gemini import Gemini
from gateway.shaping.guard import Finding, judge, signs
from gateway.shaping.memo import Memo
from gateway.shaping.ollama import Ollama
from gateway.shaping.openai_chat import OpenAiChat
from gateway.shaping.openai_responses import OpenAiResponses
from gateway.shaping.pii import Redactor, kinds, redact
from gateway.shaping.scan import Meter
from gateway.shaping.system_prompt import add_prompt, prompt_of
from gateway.shaping.thinking import set_thinking

MAX_SHAPED_BYTES = 4 * 1024 * 1024
"""Reading a longer body as objects would hold the loop: it goes on as it is, and is counted."""

ACCESSES: Mapping[CallerDialect, Access] = {
    "openai_chat": OpenAiChat(),
    "openai_responses": OpenAiResponses(),
    "anthropic_messages": AnthropicMessages(),
    "gemini": Gemini(),
    "ollama": Ollama(),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What shaping must know of a request. `providers` and `most_output`: where its name leads. `spared`: steps its key is spared."""

    dialect: CallerDialect
    model: str
    spared: tuple[str, ...] = ()
    combo_prompt: object = None
    providers: tuple[str, ...] = ()
    most_output: int = 0
    has_completion_limit: bool = False
    """The first of them takes `max_completion_tokens`, not `max_tokens` (Chat Completions)."""


@dataclass(slots=True)
class Shaped:
    """What came of it. `guard` is for the header, empty = nothing to say; `skipped` why nothing was done."""

    body: bytes
    findings: tuple[Finding, ...] = ()
    guard: str = ""
    pii: dict[str, int] = field(default_factory=dict)
    skipped: str = ""
    output: Pii | None = None
    """How the answer is to be redacted; None = it is not."""


class Shaper:
    """Built once a revision, only when something is on."""

    def __init__(self, rules: Shaping) -> None:
        self.rules = rules
        self.memo = Memo()
        self._defaults: Compiled = compile_defaults(rules.defaults)
        if rules.guard.mode != "off":
            signs()  # compiled now, once a process: 15 ms that no request should wait for
        if rules.pii != Pii():
            kinds()

    def shape(self, body: bytes, asked: Asked) -> Generator[None, None, Shaped]:
        """Raises BadRequest for what the guard blocks and, while it blocks, for what cannot be read; BodyTooLarge likewise."""
        rules, spared = self.rules, asked.spared
        shaped = Shaped(body)
        if rules.pii.output != "off" and "pii" not in spared:
            shaped.output = rules.pii
        if not self._has_work(asked):
            return shaped
        is_strict = rules.guard.mode == "block" and "guard" not in spared
        if len(body) > MAX_SHAPED_BYTES:
            if is_strict:
                text = f"requests above {MAX_SHAPED_BYTES >> 20} MiB cannot be searched for prompt injection, which is required here"
                raise BodyTooLarge(text, code="too_large_to_guard")
            shaped.skipped = "too_large"
            if rules.guard.mode in ("warn", "redact") and "guard" not in spared:
                shaped.guard = "skipped; too large"
            return shaped
        try:
            fields = read_json(body)
        except (ValueError, RecursionError) as error:
            if is_strict:
                raise BadRequest(f"the request body is not valid JSON: {error}", code="invalid_json") from error
            shaped.skipped = "unreadable"
            return shaped
        if not isinstance(fields, dict):
            if is_strict:
                raise BadRequest("the request body must be a JSON object", code="invalid_request_body")
            shaped.skipped = "unreadable"
            return shaped
        access, meter = ACCESSES[asked.dialect], Meter()
        if meter.spend(len(body) // 8):
            yield
        is_changed = yield from self._guard(access, fields, spared, shaped, meter)
        is_changed |= yield from self._redact(access, fields, spared, shaped, meter)
        is_changed |= self._steer(access, fields, asked)
        if is_changed:
            shaped.body = json_text(fields)
        return shaped

    def _has_work(self, asked: Asked) -> bool:
        rules, spared = self.rules, asked.spared
        return (
            (bool(rules.system_prompt or asked.combo_prompt) and "system_prompt" not in spared)
            or (rules.thinking.mode != "off" and "thinking" not in spared)
            or (rules.guard.mode != "off" and "guard" not in spared)
            or (rules.pii.input != "off" and "pii" not in spared)
            or (bool(self._defaults) and "defaults" not in spared)
        )

    def _guard(
        self, access: Access, fields: Json, spared: tuple[str, ...], shaped: Shaped, meter: Meter
    ) -> Generator[None, None, bool]:
        rule = self.rules.guard
        if rule.mode == "off" or "guard" in spared:
            return False
        redacts = rule.mode == "redact"
        shaped.findings = yield from judge(access.spots(fields), rule.scans, meter, redacts=redacts, memo=self.memo)
        if not shaped.findings or rule.mode == "log":
            return False
        names = ", ".join(f"{one.sign} ({one.severity})" for one in shaped.findings)
        if rule.mode == "block" and any(one.severity in ("high", rule.blocks) for one in shaped.findings):
            raise Blocked(shaped.findings)
        shaped.guard = f"{'redacted' if redacts else 'warn'}; {names}"
        return redacts

    def _redact(
        self, access: Access, fields: Json, spared: tuple[str, ...], shaped: Shaped, meter: Meter
    ) -> Generator[None, None, bool]:
        rule = self.rules.pii
        if rule.input == "off" or "pii" in spared:
            return False
        redactor = Redactor(rule.kinds, self.memo)
        writes = rule.input == "redact"
        is_found = yield from redact(access.spots(fields), rule, redactor, meter, writes=writes)
        shaped.pii = redactor.found
        return is_found and writes

    def _steer(self, access: Access, fields: Json, asked: Asked) -> bool:
        rules, spared = self.rules, asked.spared
        is_changed = False
        if "defaults" not in spared:
            is_changed |= set_defaults(
                access, fields, self._defaults, asked.model, has_completion_limit=asked.has_completion_limit
            )
        if rules.thinking.mode != "off" and "thinking" not in spared:
            is_changed |= set_thinking(access, fields, rules.thinking, asked.model, asked.providers, asked.most_output)
        if "system_prompt" not in spared:
            is_changed |= add_prompt(access, fields, prompt_of(rules.system_prompt, asked.combo_prompt))
        return is_changed


class Blocked(BadRequest):
    """The guard refuses the request."""

    code = "injection_detected"

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        super().__init__("Request rejected: suspicious content detected")
        self.findings = findings


def compile_shaping(rules: Shaping, combo_configs: Mapping[str, Mapping[str, object]]) -> Shaper | None:
    """None when nothing is on: requests then pay an attribute test."""
    has_prompts = any(config.get("system_prompt") for config in combo_configs.values())
    return Shaper(rules) if has_prompts or rules != OFF else None


def redact_answer(body: bytes, dialect: CallerDialect, rule: Pii, redactor: Redactor) -> Generator[None, None, bytes]:
    """A whole answer in the caller's dialect; the very same bytes when nothing is found."""
    try:
        answer = read_json(body)
    except (ValueError, RecursionError):
        return body
    meter = Meter()
    is_found = yield from redact(ACCESSES[dialect].answer_spots(answer), rule, redactor, meter, writes=True)
    return json_text(answer) if is_found else body

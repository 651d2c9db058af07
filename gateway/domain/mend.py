"""What is put right in a provider's Chat Completions answers before anybody reads them."""

import msgspec


class Mend(msgspec.Struct, frozen=True):
    """Four repairs, each named by a quirk of the provider's data file; the default repairs nothing.

    `strip_fields`: paths from the top of an answer, names joined by dots, `*` for every element of a list. A path goes
    into the last name's object: `x_groq`, `choices.*.matched_stop`, `choices.*.message.channel`. In a chunk `message`
    means `delta`.
    `think_tags`: what stands between `<think>` and `</think>` in the content is reasoning, to the end if it is not closed.
    `finish_map`: the provider's finish reason → Chat Completions' own. In a stream an empty one is never mapped: some
    providers say it in every chunk.
    `usage_map`: path in `usage` as Chat Completions has it ← path in the provider's `usage`; counts that are there stay.
    """

    strip_fields: tuple[str, ...] = ()
    think_tags: bool = False
    finish_map: dict[str, str] = {}
    usage_map: dict[str, str] = {}

    @property
    def is_needed(self) -> bool:
        return bool(self.strip_fields or self.think_tags or self.finish_map or self.usage_map)

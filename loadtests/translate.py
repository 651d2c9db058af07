"""`make bench-translate`: what translation itself costs, without a server, for every pair of dialects.

    python -m loadtests.translate [--rounds N] [--profile CALLER,PROVIDER]

A request is a conversation of 100 messages and 64 KB with calls and results, decoded from the caller's dialect and encoded
in the provider's. A chunk is one text delta of a stream, decoded from the provider's dialect and encoded in the caller's.
Each figure is the least of the rounds: other programs can only add. Ends with 1 when a limit is passed.
"""

import argparse
import cProfile
import pstats
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from gateway.dialects.codec import Arrival, Destination, Origin, Stamp
from gateway.dialects.envelope import Envelopes
from gateway.dialects.registry import CALLERS, PROVIDERS
from gateway.dialects.sse import EventSplitter
from gateway.domain.chat import ChatRequest, Text, Tool, ToolCall, ToolResult, Turn
from gateway.domain.dialect import CallerDialect, ProviderDialect
from gateway.domain.events import Event, Finished, Started, TextDelta, UsageTold
from gateway.domain.usage import Usage

REQUEST_MUST_MS, CHUNK_MUST_US = 1.5, 9.0
MESSAGES, BODY_BYTES, CHUNKS = 100, 64 * 1024, 2_000
ENVELOPES = Envelopes(b"for the benchmark")
ORIGIN = Origin(provider="bench", request_id="0198c0de-0000-7000-8000-00000000c0de")
DESTINATION = Destination(model="there", provider="bench", max_output=64_000)
SAID = "The quick brown fox — jumps over 13 lazy dogs. "


@dataclass(frozen=True, slots=True)
class Cost:
    """One pair: milliseconds a request, microseconds a chunk."""

    caller: CallerDialect
    provider: ProviderDialect
    request_ms: float
    chunk_us: float

    @property
    def is_over(self) -> bool:
        return self.request_ms > REQUEST_MUST_MS or self.chunk_us > CHUNK_MUST_US


def conversation() -> ChatRequest:
    """50 rounds of an agent at work: every other round is a call and its result."""
    text = (SAID * 100)[: (BODY_BYTES - 12_000) // MESSAGES]
    turns = [Turn("system", (Text(text),))]
    for number in range(MESSAGES // 4):
        call_id = f"call_{number:04}"
        call = ToolCall(call_id, "read_file", f'{{"path":"/src/file_{number}.py","limit":{number}}}')
        turns += [
            Turn("user", (Text(text),)),
            Turn("assistant", (Text(text), call)),
            Turn("user", (ToolResult(call_id, (Text(text),)),)),
            Turn("assistant", (Text(text),)),
        ]
    turns[-1] = Turn("user", (Text("go on"),))
    schema = {"type": "object", "properties": {"path": {"type": "string"}, "limit": {"type": "integer"}}}
    tools = tuple(Tool(name, "Does one thing to a file.", schema) for name in ("read_file", "write_file", "list_files"))
    return ChatRequest(model="here", turns=tuple(turns), tools=tools, is_stream=True, max_tokens=4096, temperature=0.5)


def answer(chunks: int) -> list[Event]:
    deltas = [TextDelta(f"{SAID[number % 40 :][:16]}{number}") for number in range(chunks)]
    usage = UsageTold(Usage(input=16_000, output=chunks))
    return [Started("id-1", "there"), *deltas, usage, Finished("stop")]


def bodies() -> dict[CallerDialect, bytes]:
    """The conversation in every dialect that a caller may speak."""
    request = conversation()
    found: dict[CallerDialect, bytes] = {
        name: codec.encode_request(request, DESTINATION).body for name, codec in PROVIDERS.items()
    }
    # Nobody is asked in Ollama's dialect; it takes Chat Completions' messages but for arguments as objects.
    chat = found["openai_chat"]
    if "ollama" in CALLERS:
        found["ollama"] = (
            chat.replace(b'"arguments":"{\\"', b'"arguments":{"').replace(b'}"}}', b"}}}").replace(b'\\"', b'"')
        )
    return found


def streams() -> dict[ProviderDialect, list[bytes]]:
    """The answer in every dialect of a provider, an event an item."""
    found: dict[ProviderDialect, list[bytes]] = {}
    for name in PROVIDERS:
        written = CALLERS[name].make_encoder(stamp()).feed(answer(CHUNKS))
        found[name] = EventSplitter().feed(written)
    return found


def stamp() -> Stamp:
    return Stamp(ORIGIN.request_id, 1_790_000_000, "here", ENVELOPES, request=conversation())


def least_s(work: Callable[[], object], rounds: int) -> float:
    """Seconds of this process's time that the quickest round took."""
    best = float("inf")
    for _ in range(rounds):
        began = time.process_time()
        work()
        best = min(best, time.process_time() - began)
    return best


def request_work(caller: CallerDialect, provider: ProviderDialect, body: bytes, times: int) -> Callable[[], None]:
    decode, encode = CALLERS[caller].decode_request, PROVIDERS[provider].encode_request
    arrival = Arrival(model="here", is_stream=True) if caller == "gemini" else Arrival()

    def work() -> None:
        for _ in range(times):
            encode(decode(body, arrival, ENVELOPES), DESTINATION)

    return work


def chunk_work(caller: CallerDialect, provider: ProviderDialect, stream: list[bytes]) -> Callable[[], None]:
    about = stamp()

    def work() -> None:
        decoder, encoder = PROVIDERS[provider].make_decoder(ORIGIN), CALLERS[caller].make_encoder(about)
        for event in stream:
            encoder.feed(decoder.feed(event))
        encoder.feed(decoder.end())

    return work


def pairs() -> list[tuple[CallerDialect, ProviderDialect]]:
    return [(caller, provider) for provider in PROVIDERS for caller in CALLERS if caller != provider]


def measure(rounds: int) -> list[Cost]:
    asked, told = bodies(), streams()
    return [
        Cost(
            caller,
            provider,
            least_s(request_work(caller, provider, asked[caller], 10), rounds) / 10 * 1e3,
            least_s(chunk_work(caller, provider, told[provider]), rounds) / CHUNKS * 1e6,
        )
        for caller, provider in pairs()
    ]


def table(costs: list[Cost]) -> str:
    lines = [f"{'caller':<20}{'provider':<20}{'ms a request':>14}{'µs a chunk':>12}"]
    for cost in costs:
        verdict = "  over" if cost.is_over else ""
        lines.append(f"{cost.caller:<20}{cost.provider:<20}{cost.request_ms:>14.2f}{cost.chunk_us:>12.2f}{verdict}")
    lines.append(f"must: {REQUEST_MUST_MS:g} ms a request, {CHUNK_MUST_US:g} µs a chunk")
    return "\n".join(lines)


def profile(caller: CallerDialect, provider: ProviderDialect) -> None:
    """Where the time of one pair goes, request and chunks apart."""
    for work in (
        request_work(caller, provider, bodies()[caller], 200),
        chunk_work(caller, provider, streams()[provider]),
    ):
        work()
        profiler = cProfile.Profile()
        profiler.runcall(work)
        pstats.Stats(profiler).sort_stats("tottime").print_stats(18)


def main() -> int:
    parser = argparse.ArgumentParser(description="What translation costs, for every pair of dialects.")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--profile", help="CALLER,PROVIDER: print where the time of this pair goes instead")
    options = parser.parse_args()
    if options.profile:
        caller, _, provider = options.profile.partition(",")
        if (caller, provider) not in pairs():
            parser.error(f"no such pair; there are {', '.join(f'{c},{p}' for c, p in pairs())}")
        profile(caller, provider)
        return 0
    costs = measure(options.rounds)
    print(table(costs))
    return int(any(cost.is_over for cost in costs))


if __name__ == "__main__":
    sys.exit(main())

"""The loads: what `loadc` is told, which count the CPU time is divided by, and who is put under which. Data only.

The core set takes under five minutes with everything measured; the full set crosses bodies, concurrency, stream counts
and transports and takes about half an hour.
"""

from dataclasses import dataclass, replace

RAW = ("nginx", "floor-raw", "product")
CURL = ("floor-curl", "product-curl")
TLS = ("floor-tls", "product-tls")
ALL = (*RAW, *CURL, *TLS)
PRODUCTS = ("product", "product-curl", "product-tls")
TRANSLATED = {
    "translated-100": "sse-100",
    "translated-200": "sse-200",
    "translated-500": "sse-500",
    "translated-burst-32": "burst-32",
}
"""What is translated → the same load passed on unchanged."""
FLOOR_OF = {"product": "floor-raw", "product-curl": "floor-curl", "product-tls": "floor-tls"}
PACE = 50
"""Chunks a second of a paced stream."""
MEMORY_STREAMS = 1_000
KB, MB = 1024, 1024 * 1024


@dataclass(frozen=True, slots=True)
class Workload:
    """One load: arguments of `loadc`, and which of its counts the CPU time is divided by."""

    name: str
    says: str
    arguments: tuple[str, ...]
    counted: str
    warmup_s: float
    seconds: float
    variants: tuple[str, ...] = ALL
    is_direct: bool = False
    """Also measured with no gateway between, as a base for added latency."""
    streams: int = 0
    """Paced streams open at once."""
    is_probed: bool = False
    """/healthz is asked meanwhile, to learn how long the loop is held."""


def unary(
    name: str, body: int, at_once: int, seconds: float = 1.2, variants: tuple[str, ...] = ALL, answer: int = KB
) -> Workload:
    says = f"{_size(body)} in, {_size(answer)} out, {at_once} in flight"
    return Workload(
        name, says, ("-c", str(at_once), "-B", str(body), "-m", f"b={answer}"), "reqs", 0.35, seconds, variants
    )


def cached(seconds: float) -> Workload:
    """Equal requests that write `temperature: 0`: all but the first are answered from the cache, none by the provider."""
    plain = unary("cached-64", 2 * KB, 64, seconds, ("floor-raw", "product"))
    return replace(plain, says=f"{plain.says}, kept answers", arguments=("-z", *plain.arguments))


def missed(seconds: float) -> Workload:
    """Requests that write `temperature: 0` and are never repeated: each is looked for in the cache, asked, and kept."""
    plain = unary("missed-64", 2 * KB, 64, seconds, ("floor-raw", "product"))
    return replace(plain, says=f"{plain.says}, looked for and kept", arguments=("-z", "-n", *plain.arguments))


def at_rate(rate: int, seconds: float, variants: tuple[str, ...] = ALL) -> Workload:
    says = f"2 KB in, 1 KB out, {rate} requests/s whatever comes back"
    arguments = ("-c", "64", "-r", str(rate), "-m", "b=1024")
    return Workload(f"rate-{rate}", says, arguments, "reqs", 0.4, seconds, variants, is_direct=True)


def first_byte(seconds: float, variants: tuple[str, ...] = ALL) -> Workload:
    arguments = ("-s", "-c", "64", "-r", "200", "-m", "n=3,d=2000,s=220")
    return Workload(
        "first-byte", "200 new streams/s of 3 chunks", arguments, "reqs", 0.4, seconds, variants, is_direct=True
    )


def paced(streams: int, seconds: float, variants: tuple[str, ...] = ALL, warmup_s: float = 0.0) -> Workload:
    says = f"{streams} streams, {PACE} chunks/s each, 220 bytes a chunk"
    mock = f"n=1000000,d={1_000_000 // PACE},s=220"
    # New streams cost far more than chunks: spread them, and let them settle before counting.
    ramp_s = max(0.3, streams / 1500)
    arguments = ("-s", "-c", str(streams), "-m", mock, "-R", str(int(ramp_s * 1e6)))
    return Workload(
        f"sse-{streams}", says, arguments, "events", warmup_s or ramp_s + 0.5, seconds, variants, True, streams
    )


def burst(name: str, streams: int, chunks: int, seconds: float, variants: tuple[str, ...] = ALL) -> Workload:
    says = f"{streams} streams of {chunks} chunks as fast as they are taken"
    return Workload(
        name, says, ("-s", "-c", str(streams), "-m", f"n={chunks},d=0,s=220"), "events", 0.35, seconds, variants
    )


def translated(name: str, plain: Workload) -> Workload:
    """The same load by callers who speak Messages, to a provider that speaks Chat Completions."""
    return replace(
        plain,
        name=name,
        says=f"{plain.says}, Messages to Chat Completions",
        arguments=("-a", *plain.arguments),
        variants=("product",),
        is_direct=False,
    )


def held(body: int, rate: int, seconds: float, variants: tuple[str, ...] = ALL) -> Workload:
    says = f"{_size(body)} bodies, {rate}/s; /healthz asked 500 times/s meanwhile"
    arguments = ("-c", "4", "-r", str(rate), "-B", str(body), "-m", "b=1024")
    return Workload(
        f"held-{_size(body)}".replace(" ", ""), says, arguments, "reqs", 0.3, seconds, variants, is_probed=True
    )


def hold_open(streams: int) -> Workload:
    """Streams that hardly say anything, to weigh them."""
    ramp_s = streams / 1000
    arguments = ("-s", "-c", str(streams), "-m", "n=1000000,d=500000,s=220", "-R", str(int(ramp_s * 1e6)))
    return Workload(
        "memory", f"{streams} streams, 2 chunks/s each", arguments, "events", ramp_s + 0.7, 0.6, ALL, False, streams
    )


def core_set() -> list[Workload]:
    """What a change is judged by."""
    ours = ("floor-raw", "product")
    return [
        unary("2KB-64", 2 * KB, 64),
        unary("2KB-1", 2 * KB, 1, 0.8, ours),
        cached(1.0),
        missed(0.8),
        unary("64KB-64", 64 * KB, 64, 1.0, ours),
        unary("100KB-8", 100 * KB, 8, 0.6, ours),
        unary("1MB-1", MB, 1, 0.8, ours),
        held(MB, 20, 1.2, ours),
        at_rate(200, 1.5, RAW),
        first_byte(1.2, ours),
        paced(100, 1.0, (*RAW, *CURL)),
        paced(500, 1.0, RAW),
        paced(1_000, 1.2, RAW),
        burst("burst-32", 32, 500, 0.9),
        *translated_set(1.0),
    ]


def translated_set(seconds: float) -> list[Workload]:
    """Each stands beside the load of TRANSLATED that passes unchanged."""
    return [
        translated("translated-100", paced(100, seconds)),
        translated("translated-500", paced(500, seconds)),
        translated("translated-burst-32", burst("burst-32", 32, 500, seconds)),
    ]


def quick_set() -> list[Workload]:
    """Enough to see that everything works, and roughly what it costs."""
    return [
        unary("2KB-64", 2 * KB, 64, 0.8),
        unary("1MB-1", MB, 1, 0.6, RAW),
        at_rate(200, 1.0, RAW),
        paced(200, 0.8, RAW),
        burst("burst-32", 32, 500, 0.6),
        translated("translated-200", paced(200, 0.8)),
    ]


def full_set() -> list[Workload]:
    """Every body by every concurrency, every count of streams paced and burst, on every transport."""
    sizes = ((2 * KB, "2KB"), (64 * KB, "64KB"), (100 * KB, "100KB"), (MB, "1MB"))
    return [
        *(unary(f"{name}-{at_once}", size, at_once, 1.5) for size, name in sizes for at_once in (1, 64)),
        cached(1.5),
        unary("answer-800KB-8", 2 * KB, 8, 1.5, ALL, 800 * KB),
        held(64 * KB, 50, 2.0),
        held(MB, 20, 2.0),
        at_rate(200, 4.0),
        at_rate(1_000, 2.5, RAW),
        first_byte(3.0),
        *(paced(streams, 2.0) for streams in (100, 500, 1_000)),
        *(burst(f"burst-{streams}", streams, 200, 1.5) for streams in (32, 100, 500, 1_000)),
        *translated_set(2.0),
    ]


def _size(count: int) -> str:
    return f"{count // MB} MB" if count >= MB else f"{count // KB} KB"

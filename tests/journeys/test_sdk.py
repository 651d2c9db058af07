"""The official OpenAI SDK against the started product: what it reads, and what it raises."""

import asyncio
import json
from collections.abc import Iterator

import openai
import pytest

from tests.support.product import wait_for
from tests.support.real_gateway import KEY, MESSAGES, NARROW_KEY, QUICK, RealGateway, running_gateway

pytestmark = pytest.mark.process

PATIENT = {name: 4 * limit_s for name, limit_s in QUICK.items()}
"""Thirty streams at once make a small machine slow."""
WORDS = "Hello word1 word2 word3 word4"
TOOLS = [{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {}}}}]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealGateway]:
    with running_gateway(tmp_path_factory.mktemp("sdk"), timeouts=PATIENT, early_headers_s=0.2) as running:
        yield running


@pytest.fixture(scope="module")
def sdk(gateway: RealGateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=KEY, max_retries=0, timeout=60) as client:
        yield client


def test_a_completion_is_read(sdk):
    answer = sdk.chat.completions.create(model="local/m1", messages=MESSAGES)
    assert answer.choices[0].message.content == WORDS
    assert answer.usage.total_tokens == 16
    assert answer.model == "m1"


def test_a_stream_is_read_chunk_by_chunk(sdk):
    stream = sdk.chat.completions.create(model="local/m1", messages=MESSAGES, stream=True)
    chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == WORDS
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_usage_of_a_stream_is_read_when_asked_for(sdk):
    stream = sdk.chat.completions.create(
        model="local/m1", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
    )
    assert list(stream)[-1].usage.completion_tokens == 5


def test_the_streaming_helper_puts_an_answer_together(sdk):
    with sdk.chat.completions.stream(model="local/m1", messages=MESSAGES) as stream:
        for _ in stream:
            pass
        assert stream.get_final_completion().choices[0].message.content == WORDS


def test_tool_calls_are_read_whole_and_streamed(sdk):
    whole = sdk.chat.completions.create(model="local/tools", messages=MESSAGES, tools=TOOLS)
    assert whole.choices[0].message.tool_calls[0].function.name == "get_weather"
    stream = sdk.chat.completions.create(model="local/tools", messages=MESSAGES, tools=TOOLS, stream=True)
    calls = [call for chunk in stream for call in chunk.choices[0].delta.tool_calls or ()]
    assert calls[0].function.name == "get_weather"
    assert json.loads("".join(call.function.arguments or "" for call in calls)) == {"city": "Paris", "unit": "c"}


def test_keep_alive_comments_before_a_slow_first_token_are_skipped(sdk):
    stream = sdk.chat.completions.create(model="local/slow-first:0.6", messages=MESSAGES, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == WORDS


def test_models_are_listed_and_looked_up(sdk):
    assert "one/shared-model" in {model.id for model in sdk.models.list()}
    assert sdk.models.retrieve("one/shared-model").owned_by == "one"
    with pytest.raises(openai.NotFoundError):
        sdk.models.retrieve("one/nothing")


def test_the_raw_response_shows_our_headers(sdk):
    raw = sdk.chat.completions.with_raw_response.create(
        model="local/m1", messages=MESSAGES, extra_headers={"X-Request-Id": "from-the-sdk"}
    )
    assert raw.headers["x-omniroute-provider"] == "local"
    assert raw.headers["x-omniroute-model"] == "m1"
    assert raw.headers["x-request-id"] == "from-the-sdk"
    assert raw.parse().choices[0].message.content == WORDS
    with sdk.chat.completions.with_streaming_response.create(
        model="local/m1", messages=MESSAGES, stream=True
    ) as streaming:
        assert streaming.headers["x-omniroute-attempts"] == "1"
        assert "[DONE]" in "".join(streaming.iter_text())


@pytest.mark.parametrize("stream", [False, True])
class TestErrors:
    def test_a_wrong_key_is_an_authentication_error(self, gateway, stream):
        with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="sk-wrong", max_retries=0) as client:
            with pytest.raises(openai.AuthenticationError) as caught:
                client.chat.completions.create(model="local/m1", messages=MESSAGES, stream=stream)
            assert caught.value.code == "invalid_api_key"

    def test_a_model_that_the_key_may_not_use_is_a_permission_error(self, gateway, stream):
        client = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=NARROW_KEY, max_retries=0)
        with client, pytest.raises(openai.PermissionDeniedError):
            client.chat.completions.create(model="two/only-here", messages=MESSAGES, stream=stream)

    @pytest.mark.parametrize(
        ("model", "kind", "code"),
        [
            ("nobody-has-it", openai.NotFoundError, "model_not_found"),
            ("shared-model", openai.BadRequestError, "ambiguous_model"),
            ("local/status:400", openai.BadRequestError, None),
            ("local/status:422", openai.UnprocessableEntityError, None),
            ("local/status:404", openai.NotFoundError, "model_not_found"),
            ("local/status:429:retry-after=9", openai.RateLimitError, "rate_limit_exceeded"),
            ("local/status:401", openai.InternalServerError, "upstream_auth"),
            ("local/status:500", openai.InternalServerError, "upstream_error"),
            ("refusing/m1", openai.InternalServerError, "upstream_unreachable"),
            ("local/html", openai.InternalServerError, "upstream_invalid_answer"),
            ("local/error-in-200", openai.InternalServerError, "upstream_invalid_answer"),
            ("local/empty-stream", openai.InternalServerError, "upstream_invalid_answer"),
        ],
    )
    def test_a_failure_is_raised_as_its_own_kind(self, sdk, stream, model, kind, code):
        with pytest.raises(kind) as caught:
            sdk.chat.completions.create(model=model, messages=MESSAGES, stream=stream)
        assert caught.value.code == code
        assert caught.value.message
        assert caught.value.response.headers["x-request-id"] == caught.value.request_id

    def test_a_provider_that_is_limited_tells_when_to_come_again(self, sdk, stream):
        with pytest.raises(openai.RateLimitError) as caught:
            sdk.chat.completions.create(model="local/status:429:retry-after=9", messages=MESSAGES, stream=stream)
        assert caught.value.response.headers["retry-after"] == "9"


@pytest.mark.parametrize("behaviour", ["cut-after:2", "clean-end-after:2", "stall-after:2", "bad-chunk"])
def test_a_stream_that_breaks_raises_after_its_first_words(sdk, behaviour):
    stream = sdk.chat.completions.create(model=f"local/{behaviour}", messages=MESSAGES, stream=True)
    chunks = []
    with pytest.raises(openai.APIError) as caught:
        chunks.extend(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks).startswith("Hello")
    assert caught.value.code == "upstream_cut"


def test_a_failure_after_early_headers_raises(sdk):
    stream = sdk.chat.completions.create(model="local/slow-headers:30", messages=MESSAGES, stream=True)
    with pytest.raises(openai.APIError) as caught:
        list(stream)
    assert caught.value.code == "upstream_timeout"


def test_a_stream_that_is_closed_half_way_lets_the_provider_go(gateway, sdk):
    mark = gateway.mark
    with sdk.chat.completions.create(
        model="local/m1", messages=MESSAGES, stream=True, user=json.dumps({"chunks": 1000, "gap": 0.02})
    ) as stream:
        next(iter(stream))
    wait_for(lambda: gateway.seen(mark)[0].closed_mid_answer, 1)


async def test_many_streams_of_the_async_client_run_side_by_side(gateway):
    async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=KEY, max_retries=0, timeout=60) as client:

        async def one() -> str:
            stream = await client.chat.completions.create(
                model="local/m1", messages=MESSAGES, stream=True, user=json.dumps({"chunks": 5, "gap": 0.02})
            )
            return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

        assert set(await asyncio.gather(*(one() for _ in range(30)))) == {WORDS}

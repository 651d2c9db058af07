"""The only list of dialects: who can be served, and who can be asked."""

from collections.abc import Callable, Mapping

from gateway.dialects.anthropic_messages import codec as anthropic_messages
from gateway.dialects.anthropic_messages import count as anthropic_messages_count
from gateway.dialects.anthropic_messages.grammar import Grammar as AnthropicMessagesGrammar
from gateway.dialects.codec import CallerCodec, Count, Grammar, ProviderCodec
from gateway.dialects.gemini import codec as gemini
from gateway.dialects.gemini import count as gemini_count
from gateway.dialects.gemini.grammar import Grammar as GeminiGrammar
from gateway.dialects.ollama import codec as ollama
from gateway.dialects.openai_chat import codec as openai_chat
from gateway.dialects.openai_chat.grammar import Grammar as OpenAiChatGrammar
from gateway.dialects.openai_responses import codec as openai_responses
from gateway.dialects.openai_responses import count as openai_responses_count
from gateway.dialects.openai_responses.grammar import Grammar as OpenAiResponsesGrammar
from gateway.dialects.splice import replace_model
from gateway.domain.dialect import CallerDialect, ProviderDialect

CALLERS: Mapping[CallerDialect, CallerCodec] = {
    codec.dialect: codec
    for codec in (
        openai_chat.CALLER, openai_responses.CALLER, anthropic_messages.CALLER, gemini.CALLER, ollama.CALLER,
    )
}  # fmt: skip

PROVIDERS: Mapping[ProviderDialect, ProviderCodec] = {
    codec.dialect: codec
    for codec in (openai_chat.PROVIDER, openai_responses.PROVIDER, anthropic_messages.PROVIDER, gemini.PROVIDER)
}

COUNTS: Mapping[CallerDialect, Count] = {
    "openai_responses": Count(
        decode=openai_responses.CALLER.decode_request,
        encode=openai_responses_count.encode_count,
        url=lambda chat, _model: f"{chat}/input_tokens",
        pass_on=replace_model,
        body_of=lambda body, _model: openai_responses_count.count_body(body),
        read=openai_responses_count.read_count,
    ),
    "anthropic_messages": Count(
        decode=anthropic_messages_count.decode_count_request,
        encode=anthropic_messages_count.encode_count,
        url=lambda chat, _model: f"{chat}/count_tokens",
        pass_on=replace_model,
        body_of=lambda body, _model: anthropic_messages_count.count_body(body),
        read=anthropic_messages_count.read_count,
    ),
    "gemini": Count(
        decode=gemini_count.decode_count,
        encode=gemini_count.encode_count,
        url=lambda base, model: base + gemini.PROVIDER.path(model, False).replace(":generateContent", ":countTokens"),
        pass_on=lambda body, _asked, _model: body,
        body_of=gemini_count.count_body,
        read=gemini_count.read_count,
    ),
}
"""Dialects with an endpoint that counts a request's tokens."""

GRAMMARS: Mapping[CallerDialect, Callable[[], Grammar]] = {
    "openai_chat": OpenAiChatGrammar,
    "openai_responses": OpenAiResponsesGrammar,
    "anthropic_messages": AnthropicMessagesGrammar,
    "gemini": GeminiGrammar,
}
"""Of streams of events."""

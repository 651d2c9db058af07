"""The wire formats by name. `ProviderDialect` is what a provider may speak, `CallerDialect` what a caller may."""

from typing import Literal

ProviderDialect = Literal["openai_chat", "openai_responses", "anthropic_messages", "gemini"]
CallerDialect = Literal["openai_chat", "openai_responses", "anthropic_messages", "gemini", "ollama"]

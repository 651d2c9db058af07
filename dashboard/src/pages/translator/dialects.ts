/** What the five dialects look like to a client: where a question goes, how it is written, where the text of its answer is. Pure. */

export const DIALECTS = ['openai_chat', 'openai_responses', 'anthropic_messages', 'gemini', 'ollama'] as const;
export type Dialect = (typeof DIALECTS)[number];
/** Those that providers speak. */
export const SPOKEN = DIALECTS.filter((one) => one !== 'ollama');

/** Names of APIs: the same in every language. */
export const NAMES: Record<Dialect, string> = {
  openai_chat: 'OpenAI Chat Completions',
  openai_responses: 'OpenAI Responses',
  anthropic_messages: 'Anthropic Messages',
  gemini: 'Gemini',
  ollama: 'Ollama',
};

export interface Question {
  readonly model: string;
  readonly text: string;
  readonly isStream: boolean;
  readonly maxTokens: number;
  /** Offer a tool that tells the weather. */
  readonly hasTool?: boolean;
}

const SCHEMA = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };
const TOOL = { name: 'get_weather', description: 'The weather of a city' };

/** Path below the product's address. */
export function pathOf(dialect: Dialect, { model, isStream }: Pick<Question, 'model' | 'isStream'>): string {
  switch (dialect) {
    case 'openai_chat':
      return 'v1/chat/completions';
    case 'openai_responses':
      return 'v1/responses';
    case 'anthropic_messages':
      return 'v1/messages';
    case 'gemini':
      return `v1beta/models/${model.split('/').map(encodeURIComponent).join('/')}:${isStream ? 'streamGenerateContent?alt=sse' : 'generateContent'}`;
    case 'ollama':
      return 'v1/api/chat';
  }
}

export function bodyOf(dialect: Dialect, asked: Question): Record<string, unknown> {
  const { model, text, isStream: stream, maxTokens } = asked;
  const turns = [{ role: 'user', content: text }];
  const chatTools = asked.hasTool ? { tools: [{ type: 'function', function: { ...TOOL, parameters: SCHEMA } }] } : {};
  switch (dialect) {
    case 'openai_chat':
      return { model, stream, max_tokens: maxTokens, messages: turns, ...chatTools };
    case 'openai_responses':
      return { model, stream, max_output_tokens: maxTokens, input: text, ...(asked.hasTool ? { tools: [{ type: 'function', ...TOOL, parameters: SCHEMA }] } : {}) };
    case 'anthropic_messages':
      return { model, stream, max_tokens: maxTokens, messages: turns, ...(asked.hasTool ? { tools: [{ ...TOOL, input_schema: SCHEMA }] } : {}) };
    case 'gemini':
      return {
        contents: [{ role: 'user', parts: [{ text }] }],
        generationConfig: { maxOutputTokens: maxTokens },
        ...(asked.hasTool ? { tools: [{ functionDeclarations: [{ ...TOOL, parameters: SCHEMA }] }] } : {}),
      };
    case 'ollama':
      return { model, stream, options: { num_predict: maxTokens }, messages: turns, ...chatTools };
  }
}

/** The text of an answer, whole or a stream, as far as it has come; tools that are called stand in it by name. */
export function textOf(dialect: Dialect, raw: string): string {
  return objectsOf(raw).map((one) => partOf(dialect, one)).join('');
}

/** The message of an error in any of the dialects; '' when it is none. */
export function errorOf(raw: string): string {
  for (const one of objectsOf(raw)) {
    const error = one['error'];
    if (typeof error === 'string') return error;
    const message = (error as { message?: unknown } | undefined)?.message;
    if (typeof message === 'string') return message;
  }
  return '';
}

type Json = Record<string, unknown>;
type List = readonly Json[];

function objectsOf(raw: string): Json[] {
  const whole = parsed(raw);
  if (whole) return [whole];
  return raw.split('\n').flatMap((line) => {
    const found = parsed(line.replace(/^data:/, ''));
    return found ? [found] : [];
  });
}

function parsed(text: string): Json | undefined {
  try {
    const found: unknown = JSON.parse(text);
    return typeof found === 'object' && found !== null && !Array.isArray(found) ? (found as Json) : undefined;
  } catch {
    return undefined; // a line that names an event, or one that has not come whole
  }
}

function partOf(dialect: Dialect, one: Json): string {
  switch (dialect) {
    case 'openai_chat':
      return list(one['choices']).map((choice) => chatPart((choice['delta'] ?? choice['message'] ?? {}) as Json)).join('');
    case 'openai_responses':
      if (one['type'] === 'response.output_text.delta') return String(one['delta'] ?? '');
      if (one['type'] === 'response.output_item.added') return called((one['item'] as Json)['type'] === 'function_call' ? (one['item'] as Json)['name'] : '');
      return list(one['output']).map((item) => (item['type'] === 'function_call' ? called(item['name']) : texts(item['content']))).join('');
    case 'anthropic_messages':
      if (one['type'] === 'content_block_delta') return String((one['delta'] as Json)['text'] ?? '');
      if (one['type'] === 'content_block_start') return called((one['content_block'] as Json)['type'] === 'tool_use' ? (one['content_block'] as Json)['name'] : '');
      return one['type'] === 'message' ? texts(one['content']) : '';
    case 'gemini':
      return list(one['candidates']).map((found) => list((found['content'] as Json | undefined)?.['parts']).map((part) => String(part['text'] ?? '') + called((part['functionCall'] as Json | undefined)?.['name'])).join('')).join('');
    case 'ollama':
      return chatPart((one['message'] ?? {}) as Json);
  }
}

function chatPart(message: Json): string {
  const calls = list(message['tool_calls']).map((call) => called((call['function'] as Json | undefined)?.['name']));
  return String(message['content'] ?? '') + calls.join('');
}

function texts(content: unknown): string {
  return list(content).map((part) => (part['type'] === 'tool_use' ? called(part['name']) : String(part['text'] ?? ''))).join('');
}

function called(name: unknown): string {
  return name ? `→ ${String(name)}()` : '';
}

function list(value: unknown): List {
  return Array.isArray(value) ? (value as List) : [];
}

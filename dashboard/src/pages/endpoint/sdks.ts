/** A first request in each dialect, from Python, Node and a shell. Pure. */
import type { Settings } from './clients.ts';
import { json, quoted, shell } from './written.ts';

export const LANGUAGES = ['python', 'node', 'curl'] as const;
export type Language = (typeof LANGUAGES)[number];

export interface Dialect {
  readonly id: string;
  readonly name: string;
  /** Path of the request, as it is shown. */
  readonly path: string;
  /** A text for each language that has an SDK of it. */
  readonly code: Partial<Record<Language, (settings: Settings) => string>>;
}

const ASKED = 'Hello';
const MESSAGES = [{ role: 'user', content: ASKED }];

export const DIALECTS: readonly Dialect[] = [
  { id: 'chat', name: 'Chat Completions', path: '/v1/chat/completions', code: { python: chatPython, node: chatNode, curl: chatCurl } },
  { id: 'responses', name: 'Responses', path: '/v1/responses', code: { python: responsesPython, node: responsesNode, curl: responsesCurl } },
  { id: 'messages', name: 'Messages', path: '/v1/messages', code: { python: messagesPython, node: messagesNode, curl: messagesCurl } },
  { id: 'gemini', name: 'generateContent', path: '/v1beta/models/…', code: { python: geminiPython, node: geminiNode, curl: geminiCurl } },
  { id: 'ollama', name: 'Ollama', path: '/api/chat', code: { curl: ollamaCurl } },
];

function lines(...text: string[]): string {
  return text.join('\n');
}

function chatPython({ base, key, model }: Settings): string {
  return lines(
    '# pip install openai',
    'from openai import OpenAI',
    '',
    `client = OpenAI(base_url=${quoted(`${base}/v1`)}, api_key=${quoted(key)})`,
    'stream = client.chat.completions.create(',
    `    model=${quoted(model)},`,
    `    messages=[{"role": "user", "content": ${quoted(ASKED)}}],`,
    '    stream=True,',
    ')',
    'for chunk in stream:',
    '    if chunk.choices:',
    '        print(chunk.choices[0].delta.content or "", end="")',
  );
}

function chatNode({ base, key, model }: Settings): string {
  return lines(
    '// npm install openai',
    "import OpenAI from 'openai';",
    '',
    `const client = new OpenAI({ baseURL: ${quoted(`${base}/v1`)}, apiKey: ${quoted(key)} });`,
    'const stream = await client.chat.completions.create({',
    `  model: ${quoted(model)},`,
    `  messages: [{ role: 'user', content: ${quoted(ASKED)} }],`,
    '  stream: true,',
    '});',
    "for await (const chunk of stream) process.stdout.write(chunk.choices[0]?.delta?.content ?? '');",
  );
}

function chatCurl({ base, key, model }: Settings): string {
  return curl(`${base}/v1/chat/completions`, { Authorization: `Bearer ${key}` }, { model, stream: true, messages: MESSAGES });
}

function responsesPython({ base, key, model }: Settings): string {
  return lines(
    '# pip install openai',
    'from openai import OpenAI',
    '',
    `client = OpenAI(base_url=${quoted(`${base}/v1`)}, api_key=${quoted(key)})`,
    `response = client.responses.create(model=${quoted(model)}, input=${quoted(ASKED)})`,
    'print(response.output_text)',
  );
}

function responsesNode({ base, key, model }: Settings): string {
  return lines(
    '// npm install openai',
    "import OpenAI from 'openai';",
    '',
    `const client = new OpenAI({ baseURL: ${quoted(`${base}/v1`)}, apiKey: ${quoted(key)} });`,
    `const response = await client.responses.create({ model: ${quoted(model)}, input: ${quoted(ASKED)} });`,
    'console.log(response.output_text);',
  );
}

function responsesCurl({ base, key, model }: Settings): string {
  return curl(`${base}/v1/responses`, { Authorization: `Bearer ${key}` }, { model, stream: true, input: ASKED });
}

function messagesPython({ base, key, model }: Settings): string {
  return lines(
    '# pip install anthropic',
    'from anthropic import Anthropic',
    '',
    `client = Anthropic(base_url=${quoted(base)}, api_key=${quoted(key)})`,
    'message = client.messages.create(',
    `    model=${quoted(model)},`,
    '    max_tokens=1024,',
    `    messages=[{"role": "user", "content": ${quoted(ASKED)}}],`,
    ')',
    'print("".join(block.text for block in message.content if block.type == "text"))',
  );
}

function messagesNode({ base, key, model }: Settings): string {
  return lines(
    '// npm install @anthropic-ai/sdk',
    "import Anthropic from '@anthropic-ai/sdk';",
    '',
    `const client = new Anthropic({ baseURL: ${quoted(base)}, apiKey: ${quoted(key)} });`,
    'const message = await client.messages.create({',
    `  model: ${quoted(model)},`,
    '  max_tokens: 1024,',
    `  messages: [{ role: 'user', content: ${quoted(ASKED)} }],`,
    '});',
    "for (const block of message.content) if (block.type === 'text') console.log(block.text);",
  );
}

function messagesCurl({ base, key, model }: Settings): string {
  return curl(`${base}/v1/messages`, { 'x-api-key': key, 'anthropic-version': '2023-06-01' }, { model, max_tokens: 1024, stream: true, messages: MESSAGES });
}

function geminiPython({ base, key, model }: Settings): string {
  return lines(
    '# pip install google-genai',
    'from google import genai',
    '',
    `client = genai.Client(api_key=${quoted(key)}, http_options={"base_url": ${quoted(base)}, "api_version": "v1beta"})`,
    `response = client.models.generate_content(model=${quoted(`models/${model}`)}, contents=${quoted(ASKED)})`,
    'print(response.text)',
  );
}

function geminiNode({ base, key, model }: Settings): string {
  return lines(
    '// npm install @google/genai',
    "import { GoogleGenAI } from '@google/genai';",
    '',
    `const client = new GoogleGenAI({ apiKey: ${quoted(key)}, httpOptions: { baseUrl: ${quoted(base)}, apiVersion: 'v1beta' } });`,
    `const response = await client.models.generateContent({ model: ${quoted(`models/${model}`)}, contents: ${quoted(ASKED)} });`,
    'console.log(response.text);',
  );
}

function geminiCurl({ base, key, model }: Settings): string {
  const named = model.split('/').map(encodeURIComponent).join('/');
  return curl(`${base}/v1beta/models/${named}:streamGenerateContent?alt=sse`, { 'x-goog-api-key': key }, { contents: [{ role: 'user', parts: [{ text: ASKED }] }] });
}

function ollamaCurl({ base, key, model }: Settings): string {
  return curl(`${base}/api/chat`, { Authorization: `Bearer ${key}` }, { model, messages: MESSAGES });
}

function curl(url: string, headers: Record<string, string>, body: unknown): string {
  const given = Object.entries({ ...headers, 'Content-Type': 'application/json' }).map(([name, value]) => `  -H ${shell(`${name}: ${value}`)} \\`);
  return lines(`curl -N ${shell(url)} \\`, ...given, `  -d ${shell(json(body))}`);
}

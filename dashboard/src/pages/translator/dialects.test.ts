import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bodyOf, DIALECTS, errorOf, pathOf, textOf, type Dialect } from './dialects.ts';

const WHOLE: Record<Dialect, unknown> = {
  openai_chat: { choices: [{ message: { content: 'Hi' } }] },
  openai_responses: { output: [{ type: 'message', content: [{ type: 'output_text', text: 'Hi' }] }] },
  anthropic_messages: { type: 'message', content: [{ type: 'text', text: 'Hi' }] },
  gemini: { candidates: [{ content: { parts: [{ text: 'Hi' }] } }] },
  ollama: { message: { content: 'Hi' }, done: true },
};

const STREAMED: Record<Dialect, string> = {
  openai_chat: 'data: {"choices":[{"delta":{"content":"H"}}]}\n\ndata: {"choices":[{"delta":{"content":"i"}}]}\n\ndata: [DONE]\n\n',
  openai_responses: 'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"Hi"}\n\ndata: {"type":"response.completed","response":{}}\n\n',
  anthropic_messages: 'event: message_start\ndata: {"type":"message_start","message":{}}\n\ndata: {"type":"content_block_delta","delta":{"type":"text_delta","text":"Hi"}}\n\n',
  gemini: 'data: {"candidates":[{"content":{"parts":[{"text":"Hi"}]}}]}\n\n',
  ollama: '{"message":{"content":"H"},"done":false}\n{"message":{"content":"i"},"done":true}\n',
};

for (const dialect of DIALECTS) {
  test(`the text of an answer in ${dialect} is read, whole, streamed and half come`, () => {
    assert.equal(textOf(dialect, JSON.stringify(WHOLE[dialect])), 'Hi');
    assert.equal(textOf(dialect, STREAMED[dialect]), 'Hi');
    for (let end = 0; end < STREAMED[dialect].length; end += 1) assert.ok('Hi'.startsWith(textOf(dialect, STREAMED[dialect].slice(0, end))));
  });
}

test('a question says its model in its body, or in its path', () => {
  const asked = { model: 'a/b c', text: 'Hello', isStream: true, maxTokens: 16 };
  for (const dialect of DIALECTS) {
    const written = JSON.stringify(bodyOf(dialect, asked)) + pathOf(dialect, asked);
    assert.ok(written.includes('Hello') && (written.includes('a/b c') || written.includes('a/b%20c')), dialect);
  }
});

test('an error is read wherever it stands', () => {
  assert.equal(errorOf('{"error":{"message":"no"}}'), 'no');
  assert.equal(errorOf('{"error":"no"}'), 'no');
  assert.equal(errorOf('event: error\ndata: {"type":"error","error":{"message":"no"}}\n\n'), 'no');
  assert.equal(errorOf('{"choices":[]}'), '');
});

/** One chat request, as any client sends it, read as it streams. */
import { Offline, readProblem } from '../../lib/problem.ts';
import { textOf } from './chunks.ts';

const LIMIT_MS = 90_000;

/** Tells each piece of text. Raises ApiError with the gateway's own words, Offline. */
export async function streamAnswer(url: string, key: string, model: string, prompt: string, tell: (text: string) => void): Promise<void> {
  let answer: Response;
  try {
    answer = await fetch(url, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model, stream: true, messages: [{ role: 'user', content: prompt }] }),
      signal: AbortSignal.timeout(LIMIT_MS),
      credentials: 'omit',
    });
  } catch (error) {
    throw new Offline(error);
  }
  if (!answer.ok || !answer.body) throw readProblem(answer.status, await answer.text(), answer.headers.get('retry-after'));
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    const lines = (rest + part.value).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const text = textOf(line);
      if (text) tell(text);
    }
  }
}

/** One small request with a gateway key, as any client would send it. */
import { productUrl } from '../../api/places.ts';
import { t } from '../../i18n/index.ts';

const LIMIT_MS = 60_000;
const MAX_TOKENS = 64;
const SHOWN = 600;

interface Said {
  readonly choices?: readonly { readonly message?: { readonly content?: string | null } }[];
  readonly error?: { readonly message?: string };
}

/** What came back, in words; never throws. */
export async function answerOf(key: string, model: string): Promise<{ text: string; isFine: boolean }> {
  try {
    const answer = await fetch(productUrl('v1/chat/completions'), {
      method: 'POST',
      credentials: 'omit',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model, max_tokens: MAX_TOKENS, messages: [{ role: 'user', content: 'Hello' }] }),
      signal: AbortSignal.timeout(LIMIT_MS),
    });
    const said = (await answer.json()) as Said;
    if (answer.ok) return { text: t('endpoint.answered', { text: (said.choices?.[0]?.message?.content ?? '').slice(0, SHOWN) }), isFine: true };
    return { text: t('endpoint.refused', { status: String(answer.status), text: (said.error?.message ?? '').slice(0, SHOWN) }), isFine: false };
  } catch (problem) {
    return { text: t('endpoint.silent', { text: String(problem).slice(0, SHOWN) }), isFine: false };
  }
}

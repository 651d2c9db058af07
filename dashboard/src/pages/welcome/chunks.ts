interface Chunk {
  readonly choices?: readonly { readonly delta?: { readonly content?: string | null } }[];
  readonly error?: { readonly message?: string };
}

/** The text in one line of a stream of chat chunks. Raises Error when the line tells of one. */
export function textOf(line: string): string {
  const data = line.startsWith('data:') ? line.slice(5).trim() : '';
  if (!data || data === '[DONE]') return '';
  const chunk = JSON.parse(data) as Chunk;
  if (chunk.error) throw new Error(chunk.error.message ?? 'error');
  return chunk.choices?.[0]?.delta?.content ?? '';
}

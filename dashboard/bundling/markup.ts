/**
 * Takes the line breaks and the indentation of our sources out of Lit's templates: a browser shows both as one space, and
 * they were a hundredth of what it has to fetch.
 */
import type { Plugin } from 'vite';

const OURS = /\/src\/.*\.ts$/;
const TAGS = ['html', 'svg'];

interface Node {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [name: string]: unknown;
}

export function markup(): Plugin {
  return {
    name: 'omniroute-markup',
    apply: 'build',
    enforce: 'post', // what was TypeScript is JavaScript by then
    transform(code, id) {
      if (!OURS.test(id)) return null;
      const texts: Node[] = [];
      collect(this.parse(code) as unknown as Node, texts);
      let made = code;
      for (const { start, end } of texts.sort((a, b) => b.start - a.start)) {
        made = made.slice(0, start) + made.slice(start, end).replace(/\s*\n\s*/g, ' ') + made.slice(end);
      }
      return { code: made, map: null };
    },
  };
}

/** The fixed texts of templates, in any order. */
function collect(node: Node, texts: Node[]): void {
  if (node.type === 'TaggedTemplateExpression' && TAGS.includes((node['tag'] as { name?: string }).name ?? '')) {
    texts.push(...(node['quasi'] as { quasis: Node[] }).quasis);
  }
  for (const value of Object.values(node)) {
    for (const child of Array.isArray(value) ? value : [value]) {
      if (typeof child === 'object' && child !== null && 'type' in child) collect(child as Node, texts);
    }
  }
}

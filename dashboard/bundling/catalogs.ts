/**
 * Strings: `src/i18n/<language>/<part>.json` become one file a language, fetched when it is chosen.
 *
 * `import { catalogUrls } from 'virtual:catalogs'` gives language → address. A part's keys begin with its name, so two
 * parts never collide. A language is there as soon as its folder is.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Plugin } from 'vite';

const FOLDER = join(import.meta.dirname, '..', 'src', 'i18n');
const NAME = 'virtual:catalogs';
const DEV_PATH = '/dashboard/i18n/';

export function catalogs(): Plugin {
  let isBuild = false;
  return {
    name: 'omniroute-catalogs',
    configResolved(config) {
      isBuild = config.command === 'build';
    },
    resolveId: (id) => (id === NAME ? `\0${NAME}` : null),
    load(id) {
      if (id !== `\0${NAME}`) return null;
      const entries = languages().map((language) => {
        if (!isBuild) return `${JSON.stringify(language)}: ${JSON.stringify(`${DEV_PATH}${language}.json`)}`;
        const file = this.emitFile({ type: 'asset', name: `i18n-${language}.json`, source: merged(language) });
        return `${JSON.stringify(language)}: import.meta.ROLLUP_FILE_URL_${file}`;
      });
      return `export const catalogUrls = { ${entries.join(', ')} };`;
    },
    configureServer(server) {
      server.middlewares.use(DEV_PATH, (request, response, next) => {
        const language = (request.url ?? '').replace(/^\/|\.json.*$/g, '');
        if (!languages().includes(language)) return next();
        response.setHeader('content-type', 'application/json');
        response.end(merged(language));
      });
      server.watcher.add(FOLDER);
      server.watcher.on('change', (path) => {
        if (path.startsWith(FOLDER)) server.ws.send({ type: 'full-reload' });
      });
    },
  };
}

function languages(): string[] {
  return readdirSync(FOLDER, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && existsSync(join(FOLDER, entry.name, 'shell.json')))
    .map((entry) => entry.name)
    .sort();
}

function merged(language: string): string {
  const parts = readdirSync(join(FOLDER, language)).filter((name) => name.endsWith('.json')).sort();
  const all: Record<string, unknown> = {};
  for (const part of parts) Object.assign(all, JSON.parse(readFileSync(join(FOLDER, language, part), 'utf8')));
  return JSON.stringify(all);
}

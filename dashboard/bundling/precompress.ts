/** Writes `.br` and `.gz` beside each text file of the bundle: the server only sends them. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import type { Plugin } from 'vite';

const TEXT = /\.(js|css|json|svg|html|webmanifest)$/;

export function precompress(): Plugin {
  return {
    name: 'omniroute-precompress',
    apply: 'build',
    writeBundle({ dir }) {
      for (const name of readdirSync(dir!, { recursive: true }) as string[]) {
        if (!TEXT.test(name) || name.endsWith('index.html')) continue; // the page is filled in when it is served
        const source = readFileSync(join(dir!, name));
        const quality = { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY };
        writeFileSync(join(dir!, `${name}.br`), brotliCompressSync(source, { params: quality }));
        writeFileSync(join(dir!, `${name}.gz`), gzipSync(source, { level: 9 }));
      }
    },
  };
}

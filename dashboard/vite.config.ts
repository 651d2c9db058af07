import { defineConfig } from 'vite';
import { catalogs } from './bundling/catalogs.ts';
import { markup } from './bundling/markup.ts';
import { precompress } from './bundling/precompress.ts';

/** Where `npm run dev` sends what is not the dashboard's own: a product started with `make run`. */
const product = process.env['OMNIROUTE_URL'] ?? 'http://127.0.0.1:20128';

export default defineConfig({
  // Relative: the page may be served below any path. The server says how deep a page lies.
  base: process.argv.includes('build') ? './' : '/dashboard/',
  plugins: [catalogs(), markup(), precompress()],
  build: {
    outDir: '../admin_api/dashboard_bundle',
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    // Lit and uPlot are to be passed on with their notices.
    // What every page needs is one file: together it is smaller, and asked for at once.
    rolldownOptions: { output: { codeSplitting: { groups: [{ name: 'app', test: /\/src\/(ui|lib|shell)\/|\/directives\// }] } } },
    license: { fileName: 'licenses.md' },
  },
  server: {
    host: '127.0.0.1',
    port: 20130,
    proxy: { '/api': { target: product, changeOrigin: true } },
  },
});

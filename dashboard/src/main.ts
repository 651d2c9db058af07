/** The entry: strings, who is logged in, then the shell. */
import 'uplot/dist/uPlot.min.css';
import './styles/tokens.css';
import './styles/base.css';
import './styles/shell.css';
import './styles/controls.css';
import './styles/content.css';
import { startLive } from './api/live.ts';
import { takeLoginLink } from './api/login.ts';
import { refreshSession } from './api/session.ts';
import { loadFirstLanguage } from './i18n/index.ts';
import { App } from './shell/app.ts';
import { applyTheme } from './shell/theme.ts';
import { startRouter } from './shell/router.ts';

applyTheme();
// Relative to where the page was opened; a browser asks for it again wherever the reader goes from there.
for (const icon of document.querySelectorAll<HTMLLinkElement>('link[rel=icon]')) icon.setAttribute('href', icon.href);

async function start(): Promise<void> {
  await Promise.all([loadFirstLanguage(), takeLoginLink().then(refreshSession).catch(() => null)]);
  startRouter();
  customElements.define('omni-app', App); // from here on it is drawn
  startLive();
}

start().catch((problem: unknown) => {
  const text = document.createElement('p');
  text.className = 'fatal';
  text.textContent = `The dashboard could not start: ${String(problem)}. Reload the page to try again.`;
  document.body.replaceChildren(text);
});

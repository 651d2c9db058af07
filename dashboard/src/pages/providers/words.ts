/** How a standing is said: word and tone. */
import type { Connection, Health, Model, Provider, Rest, Standing } from '../../lib/catalog.ts';
import { restsOf } from '../../lib/catalog.ts';
import { clock, compact, money, relative, said, t } from '../../i18n/index.ts';
import { badge, html, nothing, type TemplateResult } from '../../ui/index.ts';

type Tone = 'neutral' | 'good' | 'warn' | 'bad' | 'info';

const STANDING: Record<Standing, Tone> = {
  off: 'neutral',
  resting: 'warn',
  refused: 'bad',
  away: 'bad',
  partly: 'warn',
  works: 'good',
  untested: 'neutral',
};

const HEALTH: Record<Health, Tone> = {
  blocked: 'neutral',
  off: 'neutral',
  bad: 'bad',
  some: 'warn',
  good: 'good',
  untested: 'neutral',
  none: 'neutral',
};

export function standingBadge(standing: Standing): TemplateResult {
  return badge(t(`providers.standing.${standing}`), STANDING[standing]);
}

export function healthBadge(health: Health): TemplateResult {
  return badge(t(`providers.health.${health}`), HEALTH[health]);
}

/** A dot of the standing's colour: beside a word that says the same. */
export function dot(standing: Standing): TemplateResult {
  return html`<span class="standing ${STANDING[standing]}" aria-hidden="true"></span>`;
}

/** What is to be said of a connection beyond its badge: until when it rests, what its last test found. */
export function explained(connection: Connection, standing: Standing, rests: readonly Rest[], now: number): TemplateResult | typeof nothing {
  const own = restsOf(connection, rests, now);
  if ((standing === 'resting' || standing === 'partly') && own.length) return html`${own.slice(0, 3).map(rested)}`;
  if (standing === 'refused' || standing === 'away') return html`<p class="bad-text small break"><bdi>${connection.lastError}</bdi></p>`;
  return nothing;
}

function rested(rest: Rest): TemplateResult {
  const values = { until: clock(rest.until / 1000), why: said('providers.why', rest.reason), model: rest.model ?? '' };
  return html`<p class="warn-text small">${t(rest.model ? 'providers.modelRests' : 'providers.rests', values)}</p>`;
}

/** When it was tested last; null when never. */
export function tested(connection: Connection): string {
  return connection.lastTested === null ? '' : t('providers.tested', { when: relative(connection.lastTested) });
}

export function tokens(count: number | null): string {
  return count === null ? '–' : compact(count);
}

/** USD per 1,000,000 tokens, what goes in and what comes out. */
export function priceOf(model: Model): string {
  const usd = (value: number | null) => (value === null ? '–' : money(value * 1e9));
  return model.price ? `${usd(model.price.input)} / ${usd(model.price.output)}` : '–';
}

export function capabilities(model: Model): TemplateResult {
  return html`<span class="muted">${model.capabilities.map((one) => said('models.can', one)).join(' · ')}</span>`;
}

/** What a provider is called; a node need not have a name. */
export function nameOf(id: string, provider: Provider | undefined): string {
  return provider?.provider || id;
}

export function kindOf(provider: Provider): string {
  return t(`providers.kind.${provider.type}`);
}

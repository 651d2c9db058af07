/** Settings, resilience: rules that are otherwise for one provider, and limits of connections that have none. `?profile=` opens one. */
import { keyed } from 'lit/directives/keyed.js';
import { get, send } from '../../api/client.ts';
import { mayChange } from '../../api/session.ts';
import { t } from '../../i18n/index.ts';
import { route, setQuery } from '../../shell/router.ts';
import { ask, button, card, Form, html, nothing, notice, Page, toast, toastProblem, type TemplateResult, type Values } from '../../ui/index.ts';
import { GROUPS } from './fields.ts';

type Rule = number | boolean;
type Rules = Readonly<Record<string, Rule>>;
type Limits = Readonly<Record<(typeof LIMITS)[number][0], number>>;

interface Data {
  /** What is otherwise, by provider. */
  readonly rules: Readonly<Record<string, Rules>>;
  /** What the settings say for all. */
  readonly resilience: Rules;
  readonly defaults: Limits;
  readonly managed: readonly string[];
  /** Those that somebody has a connection to. */
  readonly providers: readonly string[];
}

/** The profile of all providers, beneath their own. */
const ALL = 'apikey';
const NEW = '+';
const SPANS = GROUPS.resilience.filter((one) => one.id !== 'timeouts').flatMap((one) => one.settings);
const FIRST = ['cooldown_s', 'cooldown_max_s', 'failures', 'open_s', 'open_max_s'];
const ADAPTS = 'adapts_concurrency';
const LIMITS = [['requestsPerMinute', 'rpm'], ['concurrentRequests', 'concurrency'], ['minTimeBetweenRequests', 'gap']] as const;

class Profiles extends Page<Data> {
  readonly name = 'settings';
  private readonly form = new Form(this);
  private readonly limits = new Form(this);

  protected override question(): string {
    return '';
  }

  protected async load(signal: AbortSignal): Promise<Data> {
    const [found, { connections }] = await Promise.all([
      get<Omit<Data, 'providers'>>('/api/resilience', { signal }),
      get<{ connections: { provider: string }[] }>('/api/providers', { query: { limit: 500 }, signal }),
    ]);
    return { ...found, providers: [...new Set(connections.map((one) => one.provider))] };
  }

  protected view(data: Data): TemplateResult {
    const isManaged = data.managed.includes('providerProfiles');
    const isEditable = mayChange() && !isManaged;
    const names = [ALL, ...Object.keys(data.rules).filter((one) => one !== ALL)];
    return html`<div class="stack">
      ${card({
        title: t('settings.group.profiles'),
        actions: isEditable ? button({ label: t('settings.addProfile'), icon: 'plus', onClick: () => setQuery({ profile: NEW }, true) }) : nothing,
        body: html`<div class="stack tight">
          ${isManaged ? notice('info', t('settings.managed')) : nothing}
          <p class="muted">${t('settings.profilesText')}</p>
          <ul class="rows">${names.map((one) => this.row(one, data.rules[one] ?? {}, isEditable))}</ul>
        </div>`,
      })}
      ${this.defaults(data)}
    </div>
    ${isEditable ? this.dialog(data) : nothing}`;
  }

  private row(id: string, rules: Rules, isEditable: boolean): TemplateResult {
    const name = nameOf(id);
    const words = Object.entries(rules).map(([rule, value]) => `${labelOf(rule)}: ${valueOf(rule, value)}`);
    return html`<li>
      <span class="grow break"><bdi>${name}</bdi> <span class="muted small">${words.join(' · ') || t('combos.unsaid')}</span></span>
      ${isEditable
        ? html`${button({ label: t('providers.editOne', { name }), icon: 'edit', isIconOnly: true, kind: 'quiet', onClick: () => setQuery({ profile: id }, true) })}
          ${words.length ? button({ label: t('settings.resetOne', { name }), icon: 'refresh', isIconOnly: true, kind: 'quiet', onClick: () => void this.reset(id, rules) }) : nothing}`
        : nothing}
    </li>`;
  }

  private dialog({ rules, resilience, providers }: Data): TemplateResult {
    const { form } = this;
    const wanted = route().query.get('profile') ?? '';
    const now = rules[wanted] ?? {};
    const everywhere: Rules = wanted === ALL ? resilience : { ...resilience, ...rules[ALL] };
    const field = ({ path, unit, min, max, step }: (typeof SPANS)[number]) => {
      const name = path.slice(path.indexOf('.') + 1);
      return form.field({ name, label: labelOf(name), type: 'number', isUnmarked: true, value: now[name] as number, placeholder: String(everywhere[name]), min, max, step, ...(unit ? { unit: t(`settings.unit.${unit}`) } : {}) });
    };
    const isFirst = (one: (typeof SPANS)[number]) => FIRST.some((name) => one.path.endsWith(`.${name}`));
    const choices = [['', 'unsaid'], ['true', 'yes'], ['false', 'no']].map(([value, word]) => ({ value: value!, label: t(`combos.${word}`) }));
    const body = !wanted
      ? nothing
      : html`${keyed(
          wanted,
          html`<form @submit=${form.on((values) => this.save(wanted, now, values))} novalidate>
            <p class="muted">${t('settings.profileText')}</p>
            ${wanted === NEW ? form.field({ name: 'provider', label: t('models.provider'), required: true, autofocus: true, suggestions: providers, hint: t('settings.providerHint') }) : nothing}
            <div class="fields two">${SPANS.filter(isFirst).map(field)}</div>
            <details class="rare"><summary>${t('settings.more')}</summary><div class="fields two">
              ${SPANS.filter((one) => !isFirst(one)).map(field)}
              ${form.field({ name: ADAPTS, label: labelOf(ADAPTS), type: 'select', choices, value: String(now[ADAPTS] ?? '') })}
            </div></details>
            ${form.problem()}
            <div class="button-row">${form.submitButton(t('action.save'))} ${button({ label: t('action.cancel'), onClick: () => this.close() })}</div>
          </form>`,
        )}`;
    const heading = wanted === NEW ? t('settings.addProfile') : t('providers.editTitle', { name: nameOf(wanted) });
    return html`<omni-dialog .heading=${heading} .body=${body} ?open=${wanted !== ''} @closed=${() => this.close()}></omni-dialog>`;
  }

  private defaults({ defaults, managed }: Data): TemplateResult {
    const form = this.limits;
    const isManaged = managed.includes('rateLimitDefaults');
    const disabled = isManaged || !mayChange();
    return card({
      title: t('settings.group.limits'),
      body: html`<form @submit=${form.on((values) => this.store({ defaults: values as Limits }))} novalidate>
        ${isManaged ? notice('info', t('settings.managed')) : nothing}
        <p class="muted">${t('settings.limitsText')}</p>
        <div class="fields two">
          ${LIMITS.map(([name, word]) => form.field({ name, label: t(`providers.${word}`), type: 'number', required: true, min: 0, step: 1, value: defaults[name], disabled, hint: t('settings.zeroNone'), ...(word === 'gap' ? { unit: 'ms' } : {}) }))}
        </div>
        ${form.problem()} ${disabled ? nothing : html`<div class="button-row">${form.submitButton(t('action.save'))}</div>`}
      </form>`,
    });
  }

  private close(): void {
    this.form.reset();
    setQuery({ profile: '' });
  }

  private async save(wanted: string, before: Rules, { provider, ...values }: Values): Promise<void> {
    const rules: Record<string, Rule | null> = {};
    for (const [name, value] of Object.entries(values)) {
      const next = name === ADAPTS ? (value ? value === 'true' : null) : ((value as number | undefined) ?? null);
      if (next !== (before[name] ?? null)) rules[name] = next;
    }
    await this.store({ rules: { [wanted === NEW ? String(provider).trim() : wanted]: rules } });
    this.close();
  }

  private async store(body: { rules?: Record<string, unknown>; defaults?: Limits }): Promise<void> {
    await send('PATCH', '/api/resilience', body as object);
    await this.reload();
    toast(t('toast.saved'));
  }

  private async reset(id: string, before: Rules): Promise<void> {
    const title = t('settings.resetOne', { name: nameOf(id) });
    if (!(await ask({ title, text: t('ask.undoable'), action: t('action.reset'), isDangerous: true }))) return;
    const put = async (rules: Rules | null) => {
      await send('PATCH', '/api/resilience', { rules: { [id]: rules } });
      await this.reload();
    };
    try {
      await put(null);
      toast(t('health.done'), { undo: () => put(before) });
    } catch (problem) {
      toastProblem(problem);
    }
  }
}

function nameOf(id: string): string {
  return id === ALL ? t('settings.forAll') : id;
}

function labelOf(rule: string): string {
  return t(rule === ADAPTS ? 'settings.f.waiting.adapts_concurrency' : `settings.f.resilience.${rule}`);
}

function valueOf(rule: string, value: Rule): string {
  if (typeof value === 'boolean') return t(value ? 'combos.yes' : 'combos.no');
  return rule.endsWith('_s') ? `${value} ${t('settings.unit.s')}` : String(value);
}

customElements.define('settings-profiles', Profiles);

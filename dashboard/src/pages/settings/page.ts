/** Settings, in tabs. What the config file says cannot be changed here, and says so. */
import { get, send } from '../../api/client.ts';
import { isOwner, mayChange } from '../../api/session.ts';
import { chooseLanguage, has, language, languages, said, t } from '../../i18n/index.ts';
import { href, route } from '../../shell/router.ts';
import { chooseTheme, theme, THEMES, type Theme } from '../../shell/theme.ts';
import { card, Form, html, linkButton, notice, nothing, Page, tabs, toast, toastProblem, type TemplateResult, type Values } from '../../ui/index.ts';
import './backups.ts';
import './chains.ts';
import './defaults.ts';
import './network.ts';
import './profiles.ts';
import './security.ts';
import './settings.css';
import './users.ts';
import { changesOf, fieldOf, GROUPS, pairLines, strategyLines, TABS, valueAt, valuesOf, type Group, type Setting, type Tab } from './fields.ts';

type Document = Readonly<Record<string, unknown>> & { readonly version: number; readonly managed: readonly string[] };

export default class Settings extends Page<Document> {
  readonly name = 'settings';
  private readonly forms = new Map<string, Form>();

  protected override question(): string {
    return ''; // one document, whichever tab
  }

  protected load(signal: AbortSignal): Promise<Document> {
    return get<Document>('/api/settings', { signal });
  }

  protected view(document: Document): TemplateResult {
    const offered = TABS.filter((one) => one !== 'users' || isOwner());
    const tab = offered.find((one) => one === route().rest[0]) ?? 'security';
    const items = offered.map((id) => ({ id, label: t(`settings.tab.${id}`), href: href(`settings/${id}`) }));
    return html`${tabs(t('nav.settings'), items, tab)}
      <div class="stack settings">${GROUPS[tab].map((group) => this.group(group, document))} ${this.more(tab, document)}</div>`;
  }

  private more(tab: Tab, document: Document): TemplateResult | typeof nothing {
    if (tab === 'security') return html`<settings-security></settings-security>`;
    if (tab === 'resilience') return html`<settings-profiles></settings-profiles>`;
    if (tab === 'routing') return html`<settings-chains .isManaged=${document.managed.includes('comboDefaults')}></settings-chains>
      <div class="button-row">${linkButton({ label: t('usage.tierBudgets'), href: href('usage/budgets'), icon: 'usage' })}</div>`;
    if (tab === 'users') return html`<settings-users></settings-users>`;
    if (tab === 'ai') return html`<settings-defaults .document=${document} .onChanged=${() => this.reload()}></settings-defaults>`;
    if (tab === 'network') return html`<settings-network></settings-network>`;
    if (tab === 'storage') return isOwner() ? html`<settings-backups></settings-backups>` : nothing;
    return tab === 'appearance' ? this.appearance() : nothing;
  }

  private group(group: Group, document: Document): TemplateResult {
    const form = this.formOf(group.id);
    const isManaged = (one: Setting) => document.managed.includes(one.path.split('.')[0]!);
    const changeable = group.settings.filter((one) => !isManaged(one));
    const fields = (isRare: boolean) => group.settings.filter((one) => Boolean(one.isRare) === isRare).map((one) => this.field(form, one, document, isManaged(one)));
    const rare = fields(true);
    return card({
      title: t(`settings.group.${group.id}`),
      body: html`<form @submit=${form.on((values) => this.save(document, group, values))} novalidate>
        ${changeable.length < group.settings.length ? notice('info', t('settings.managed')) : nothing}
        <div class="fields two">${fields(false)}</div>
        ${rare.length ? html`<details class="rare"><summary>${t('settings.more')}</summary><div class="fields two">${rare}</div></details>` : nothing}
        ${form.problem()} ${changeable.length && mayChange() ? html`<div class="button-row">${form.submitButton(t('action.save'))}</div>` : nothing}
      </form>`,
    });
  }

  private field(form: Form, one: Setting, document: Document, isManaged: boolean): TemplateResult {
    const hint = `settings.hint.${one.path}`;
    const value = valueAt(document, one.path) as string | number | boolean | readonly string[] | undefined;
    const disabled = isManaged || !mayChange();
    const choices = one.choices?.map((value) => ({ value, label: said('settings.choice', value) }));
    if (one.type === 'several') {
      return html`<fieldset class="part several" name=${one.path}>
        <legend>${t(`settings.f.${one.path}`)}</legend>
        ${has(hint) ? html`<p class="hint">${t(hint)}</p>` : nothing}
        ${choices!.map((choice) => form.field({ name: fieldOf(one.path, choice.value), label: choice.label, type: 'checkbox', disabled, value: (value as readonly string[]).includes(choice.value) }))}
      </fieldset>`;
    }
    const lines = one.type === 'pairs' ? pairLines : one.type === 'strategies' ? strategyLines : undefined;
    return form.field({
      name: one.path,
      label: t(`settings.f.${one.path}`),
      type: lines ? 'lines' : (one.type as 'text'),
      value: lines ? lines(value) : value,
      choices,
      disabled,
      required: one.type === 'number',
      ...(has(hint) ? { hint: t(hint) } : {}),
      ...(one.unit ? { unit: t(`settings.unit.${one.unit}`) } : {}),
      ...(one.min === undefined ? {} : { min: one.min }),
      ...(one.max === undefined ? {} : { max: one.max }),
      ...(one.step === undefined ? {} : { step: one.step }),
    });
  }

  private appearance(): TemplateResult {
    const form = this.formOf('appearance');
    return card({
      title: t('settings.group.browser'),
      body: html`<div class="stack">
        <p class="muted">${t('settings.browserText')}</p>
        <div class="fields two">
          ${form.field({ name: 'language', label: t('shell.language'), type: 'select', required: true, value: language(), choices: languages().map((one) => ({ value: one.tag, label: one.name })), onChange: (tag) => void chooseLanguage(String(tag)).catch(toastProblem) })}
          ${form.field({ name: 'theme', label: t('shell.theme'), type: 'select', required: true, value: theme(), choices: THEMES.map((one) => ({ value: one, label: t(`theme.${one}`) })), onChange: (next) => chooseTheme(next as Theme) })}
        </div>
        <div class="button-row">${linkButton({ label: t('palette.welcome'), href: href('welcome'), icon: 'play' })}</div>
      </div>`,
    });
  }

  private async save(document: Document, group: Group, values: Values): Promise<void> {
    const changes = changesOf(document, valuesOf(group.settings, values));
    if (Object.keys(changes).length) {
      await send('PATCH', '/api/settings', changes, { version: document.version });
      await this.reload();
    }
    toast(t('toast.saved'));
  }

  private formOf(id: string): Form {
    const form = this.forms.get(id) ?? new Form(this, () => void this.reload());
    this.forms.set(id, form);
    return form;
  }
}

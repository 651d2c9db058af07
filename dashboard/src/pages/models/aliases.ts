/** Aliases: other names for models, with `*` and `?`. */
import { keyed } from 'lit/directives/keyed.js';
import { send } from '../../api/client.ts';
import { mayChange } from '../../api/session.ts';
import { t } from '../../i18n/index.ts';
import { fits } from '../../lib/catalog.ts';
import { Opened } from '../../lib/opened.ts';
import { route, setQuery } from '../../shell/router.ts';
import { askDelete, badge, button, card, emptyState, Form, html, nothing, notice, toast, toastProblem, type Column, type TemplateResult, type Values } from '../../ui/index.ts';
import type { Row } from './rows.ts';

export interface AliasList {
  readonly aliases: Readonly<Record<string, string>>;
  readonly managed: readonly string[];
  readonly versions: Readonly<Record<string, number>>;
  readonly nextCursor: string | null;
}

interface Alias {
  readonly pattern: string;
  readonly target: string;
  readonly managed: boolean;
  /** 0: it is not there yet. */
  readonly version: number;
}

type Host = ConstructorParameters<typeof Form>[0];

/** In the address: an alias that is not there yet. */
const NEW = '+';
const MOST_OFFERED = 500;

export class Aliases {
  private readonly form: Form;
  private readonly opened = new Opened<Alias>();

  constructor(
    private readonly host: Host,
    private readonly reload: () => Promise<void>,
  ) {
    this.form = new Form(host, () => void this.readAnew());
  }

  view(list: AliasList): TemplateResult {
    const search = route().query.get('q') ?? '';
    const rows = all(list).filter((one) => fits(search, one.pattern, one.target));
    const columns: Column<Alias>[] = [
      { id: 'pattern', label: t('models.alias'), cell: (one) => html`<bdi><code>${one.pattern}</code></bdi>${one.managed ? html` ${badge(t('providers.fact.managed'))}` : nothing}<span class="until-medium muted small"><bdi><code>${one.target}</code></bdi></span>` },
      { id: 'target', label: t('models.target'), cell: (one) => html`<bdi><code>${one.target}</code></bdi>`, from: 'medium' },
    ];
    return html`<div class="toolbar">
        <input class="search-field" type="search" aria-label=${t('models.searchAliases')} placeholder=${t('models.searchAliases')} .value=${search} @input=${(event: Event) => setQuery({ q: (event.target as HTMLInputElement).value })} />
        <span class="grow"></span>
        ${mayChange() ? button({ label: t('models.addAlias'), icon: 'plus', kind: 'primary', onClick: () => setQuery({ alias: NEW }, true) }) : nothing}
      </div>
      ${list.nextCursor ? notice('warn', t('models.notAllAliases', { count: Object.keys(list.aliases).length })) : nothing}
      ${card({
        body: html`<p class="muted small count">${t('models.aliasText')}</p>
          <omni-table
            label=${t('models.aliases')}
            .columns=${columns}
            .rows=${rows}
            .rowKey=${(one: Alias) => one.pattern}
            .actions=${mayChange() ? (one: Alias) => this.buttons(one) : undefined}
            .empty=${search ? emptyState({ icon: 'search', title: t('models.noAliasFound') }) : emptyState({ icon: 'models', title: t('models.noAliases'), text: t('models.noAliasesText') })}
          ></omni-table>`,
      })}`;
  }

  drawer(list: AliasList, rows: readonly Row[]): TemplateResult {
    const { query } = route();
    const wanted = query.get('alias') ?? '';
    const fresh: Alias = { pattern: '', target: query.get('target') ?? '', managed: false, version: 0 };
    const alias = this.opened.of(wanted, () => (wanted === NEW ? fresh : all(list).find((one) => one.pattern === wanted && !one.managed)));
    return html`<omni-dialog
      .heading=${alias?.version ? t('providers.editTitle', { name: alias.pattern }) : t('models.addAlias')}
      ?open=${alias !== undefined}
      @closed=${() => this.closed()}
      .body=${alias ? html`${keyed(`${wanted}:${alias.version}`, this.fields(alias, rows))}` : nothing}
    ></omni-dialog>`;
  }

  private fields(alias: Alias, rows: readonly Row[]): TemplateResult {
    const { form } = this;
    const offered = rows.filter((row) => row.model.callable).slice(0, MOST_OFFERED);
    return html`<form @submit=${form.on((values) => this.save(alias, values))} novalidate>
      ${form.field({ name: 'alias', label: t('models.alias'), required: true, value: alias.pattern, disabled: Boolean(alias.version), autofocus: !alias.version, placeholder: 'gpt-*', hint: t('models.aliasHint') })}
      ${form.field({ name: 'model', label: t('models.target'), required: true, value: alias.target, autofocus: Boolean(alias.version), placeholder: 'openai/gpt-5.4-mini', hint: t('models.targetHint'), suggestions: offered.map((row) => row.name) })}
      ${form.problem()}
      <div class="button-row">${form.submitButton(t(alias.version ? 'action.save' : 'action.add'))}</div>
    </form>`;
  }

  private buttons(one: Alias): TemplateResult | typeof nothing {
    if (one.managed) return nothing;
    const name = one.pattern;
    return html`${button({ label: t('providers.editOne', { name }), icon: 'edit', isIconOnly: true, kind: 'quiet', onClick: () => setQuery({ alias: name }, true) })}
    ${button({ label: t('providers.deleteOne', { name }), icon: 'trash', isIconOnly: true, kind: 'quiet', onClick: () => void this.remove(one) })}`;
  }

  private async readAnew(): Promise<void> {
    await this.reload();
    this.opened.forget();
    this.host.requestUpdate();
  }

  private closed(): void {
    this.form.reset();
    setQuery({ alias: '', target: '' });
  }

  private async save(alias: Alias, values: Values): Promise<void> {
    const body = { alias: alias.pattern || String(values['alias']), model: String(values['model']) };
    await send('PUT', '/api/models/alias', body, { version: alias.version });
    await this.reload();
    toast(t('toast.saved'));
    this.closed();
  }

  private async remove({ pattern, target, version }: Alias): Promise<void> {
    if (!(await askDelete(pattern))) return;
    try {
      await send('DELETE', '/api/models/alias', undefined, { query: { alias: pattern }, version });
      const undo = async () => {
        await send('PUT', '/api/models/alias', { alias: pattern, model: target }, { version: 0 });
        await this.reload();
      };
      toast(t('toast.deleted'), { undo });
    } catch (problem) {
      toastProblem(problem);
    }
    await this.reload();
  }
}

function all(list: AliasList): Alias[] {
  const managed = new Set(list.managed);
  return Object.entries(list.aliases).map(([pattern, target]) => ({ pattern, target, managed: managed.has(pattern), version: list.versions[pattern] ?? 0 }));
}

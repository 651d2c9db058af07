/** Settings, users: who may log in, and tokens for programs. Owners only. `?user=` and `?token=` open a form. */
import { keyed } from 'lit/directives/keyed.js';
import { get, path, send } from '../../api/client.ts';
import { session, type Role } from '../../api/session.ts';
import type { UserBody } from '../../api/schema.ts';
import { instant, relative, t } from '../../i18n/index.ts';
import { expiryOf } from '../../lib/last-day.ts';
import { route, setQuery } from '../../shell/router.ts';
import { askDelete, badge, button, card, copyLine, emptyState, Form, html, nothing, Page, toast, toastProblem, type Column, type TemplateResult, type Values } from '../../ui/index.ts';

interface User {
  readonly id: string;
  readonly name: string;
  readonly role: Role;
  readonly isActive: boolean;
  readonly lastLoginAt: number;
  readonly version: number;
}

interface Token {
  readonly id: string;
  readonly name: string;
  readonly role: Role;
  readonly scopes: readonly string[];
  /** 0 = never. */
  readonly expiresAt: number;
  readonly lastUsedAt: number;
  readonly createdBy: string;
}

interface Data {
  readonly users: readonly User[];
  readonly tokens: readonly Token[];
}

const ROLES: readonly Role[] = ['viewer', 'operator', 'owner'];
const NEW = '+';

class Users extends Page<Data> {
  readonly name = 'settings';
  protected override readonly followsConfig = false;
  private readonly userForm = new Form(this, () => void this.reload());
  private readonly tokenForm = new Form(this);
  /** A token that was just made: in memory only, gone with the dialog. */
  private made: { readonly name: string; readonly token: string } | undefined;

  protected override question(): string {
    return '';
  }

  protected async load(signal: AbortSignal): Promise<Data> {
    const [{ users }, { tokens }] = await Promise.all([get<Pick<Data, 'users'>>('/api/users', { signal }), get<Pick<Data, 'tokens'>>('/api/admin-tokens', { signal })]);
    return { users, tokens };
  }

  protected view({ users, tokens }: Data): TemplateResult {
    const add = (label: string, query: Record<string, string>) => button({ label: t(label), icon: 'plus', onClick: () => setQuery(query, true) });
    return html`<div class="stack">
        ${card({
          title: t('settings.tab.users'),
          actions: add('settings.addUser', { user: NEW }),
          body: html`<omni-table label=${t('settings.tab.users')} .columns=${userColumns()} .rows=${users} .rowKey=${(one: User) => one.id} .onOpen=${(one: User) => setQuery({ user: one.id }, true)}
            .actions=${(one: User) => this.trash(one.name, () => this.deleteUser(one))}></omni-table>`,
        })}
        ${card({
          title: t('settings.tokens'),
          actions: add('settings.addToken', { token: NEW }),
          body: html`<div class="stack tight"><p class="muted">${t('settings.tokensText')}</p>
            <omni-table label=${t('settings.tokens')} .columns=${tokenColumns()} .rows=${tokens} .rowKey=${(one: Token) => one.id} .actions=${(one: Token) => this.trash(one.name, () => this.deleteToken(one))}
              .empty=${emptyState({ title: t('settings.noToken'), icon: 'keys' })}></omni-table></div>`,
        })}
      </div>
      ${this.userDialog(users)} ${this.tokenDialog()} ${this.madeDialog()}`;
  }

  private trash(name: string, discard: () => Promise<void>): TemplateResult {
    return button({ label: t('settings.deleteOne', { name }), icon: 'trash', isIconOnly: true, kind: 'quiet', onClick: () => void discard() });
  }

  private userDialog(users: readonly User[]): TemplateResult {
    const wanted = route().query.get('user') ?? '';
    const one = users.find((user) => user.id === wanted);
    const isOpen = wanted === NEW || one !== undefined;
    const heading = one ? html`<bdi>${one.name}</bdi>` : t('settings.addUser');
    return html`<omni-dialog .heading=${heading} .body=${isOpen ? html`${keyed(`${wanted} ${one?.version}`, this.userFields(one))}` : nothing} ?open=${isOpen} @closed=${() => this.close()}></omni-dialog>`;
  }

  private userFields(one: User | undefined): TemplateResult {
    const form = this.userForm;
    return html`<form @submit=${form.on((values) => this.saveUser(one, values))} novalidate>
      ${form.field({ name: 'name', label: t('settings.user'), value: one?.name, required: true, autofocus: !one })}
      ${role(form, one?.role)}
      ${form.field({ name: 'password', label: t('settings.newPassword'), type: 'password', required: !one, autocomplete: 'new-password', ...(one ? { hint: t('settings.passwordKept') } : {}) })}
      ${form.field({ name: 'isActive', label: t('settings.mayLogIn'), type: 'checkbox', value: one?.isActive ?? true })}
      ${this.end(form, t(one ? 'action.save' : 'action.add'))}
    </form>`;
  }

  private tokenDialog(): TemplateResult {
    const isOpen = route().query.get('token') === NEW;
    const form = this.tokenForm;
    const body = !isOpen
      ? nothing
      : html`<form @submit=${form.on((values) => this.makeToken(values))} novalidate>
          ${form.field({ name: 'name', label: t('settings.tokenName'), required: true, autofocus: true })} ${role(form)}
          ${form.field({ name: 'scopes', label: t('settings.scopes'), type: 'lines', placeholder: '/api/usage', hint: t('settings.scopesHint') })}
          ${form.field({ name: 'expiresAt', label: t('settings.lastDay'), type: 'date' })}
          ${this.end(form, t('action.add'))}
        </form>`;
    return html`<omni-dialog .heading=${t('settings.addToken')} .body=${body} ?open=${isOpen} @closed=${() => this.close()}></omni-dialog>`;
  }

  private end(form: Form, label: string): TemplateResult {
    return html`${form.problem()}
      <div class="button-row">${form.submitButton(label)} ${button({ label: t('action.cancel'), onClick: () => this.close() })}</div>`;
  }

  private madeDialog(): TemplateResult {
    const { made } = this;
    const body = made ? html`<div class="stack" data-once><p>${t('settings.tokenOnce')}</p>${copyLine(made.token, made.name)}</div>` : nothing;
    return html`<omni-dialog .heading=${t('settings.tokenMade')} .body=${body} ?open=${made !== undefined} @closed=${() => {
      this.made = undefined;
      this.requestUpdate();
    }}></omni-dialog>`;
  }

  private close(): void {
    this.userForm.reset();
    this.tokenForm.reset();
    setQuery({ user: '', token: '' });
  }

  private async saveUser(one: User | undefined, values: Values): Promise<void> {
    const { password, ...others } = values;
    const body = (password ? values : others) as UserBody;
    if (one) await send('PATCH', path('/api/users/{user_id}', one.id), body, { version: one.version });
    else await send('POST', '/api/users', body);
    this.close();
    toast(t('toast.saved'));
    await this.reload();
  }

  private async makeToken(values: Values): Promise<void> {
    const body = { name: String(values['name']), role: values['role'] as Role, scopes: values['scopes'] as string[], expiresAt: expiryOf(String(values['expiresAt'] ?? ''), 0) };
    const { name, token } = await send<{ name: string; token: string }>('POST', '/api/admin-tokens', body);
    this.close();
    this.made = { name, token };
    await this.reload();
  }

  private deleteUser({ id, name, version }: User): Promise<void> {
    return this.discard(name, 'settings.deleteUserText', () => send('DELETE', path('/api/users/{user_id}', id), undefined, { version }));
  }

  private deleteToken({ id, name }: Token): Promise<void> {
    return this.discard(name, 'settings.deleteTokenText', () => send('DELETE', path('/api/admin-tokens/{token_id}', id)));
  }

  private async discard(name: string, text: string, act: () => Promise<unknown>): Promise<void> {
    if (!(await askDelete(name, t(text)))) return;
    try {
      await act();
      toast(t('toast.deleted'));
    } catch (problem) {
      toastProblem(problem);
    }
    await this.reload();
  }
}

function role(form: Form, value: Role = 'viewer'): TemplateResult {
  const choices = ROLES.map((one) => ({ value: one, label: t(`settings.role.${one}`) }));
  return form.field({ name: 'role', label: t('settings.role'), type: 'select', required: true, value, choices, hint: t('settings.roleHint') });
}

function roleColumn(): Column<User | Token> {
  return { id: 'role', label: t('settings.role'), cell: (one) => t(`settings.roleName.${one.role}`), width: '130px' };
}

function userColumns(): Column<User>[] {
  return [
    { id: 'name', label: t('settings.user'), isMain: true, cell: (one) => html`<bdi>${one.name}</bdi> ${one.name === session()?.username ? badge(t('settings.you'), 'info') : nothing} ${one.isActive ? nothing : badge(t('settings.choice.off'), 'warn')}` },
    roleColumn(),
    { id: 'seen', label: t('settings.lastLogin'), cell: (one) => when(one.lastLoginAt), width: '180px', from: 'medium' },
  ];
}

function tokenColumns(): Column<Token>[] {
  return [
    { id: 'name', label: t('settings.tokenName'), isMain: true, cell: (one) => html`<bdi class="clip" title=${one.name}>${one.name}</bdi>` },
    roleColumn(),
    { id: 'scopes', label: t('settings.scopes'), cell: (one) => html`<span class="clip" title=${one.scopes.join(' ')}>${one.scopes.join(' ') || t('settings.allScopes')}</span>`, from: 'wide' },
    { id: 'used', label: t('settings.lastUsed'), cell: (one) => when(one.lastUsedAt), width: '150px', from: 'medium' },
    { id: 'ends', label: t('settings.ends'), cell: (one) => when(one.expiresAt), width: '150px', from: 'wide' },
  ];
}

function when(at: number): TemplateResult {
  return at ? html`<span title=${instant(at)}>${relative(at)}</span>` : html`<span class="muted">${t('settings.never')}</span>`;
}

customElements.define('settings-users', Users);

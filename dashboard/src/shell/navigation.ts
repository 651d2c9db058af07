/** The pages: in which group, in which order. A page is in the menu as soon as `pages/<name>/page.ts` is there. */
import type { IconName } from '../ui/icons.ts';

type PageModule = { readonly default: CustomElementConstructor };

const modules = import.meta.glob<PageModule>('../pages/*/page.ts');

interface Entry {
  /** Name of the page's folder, of its address, and of its part of the strings. */
  readonly name: string;
  readonly icon: IconName;
}

interface Group {
  /** Key of its title: `nav.group.<id>`; a group without one is a page alone. */
  readonly id: string;
  readonly entries: readonly Entry[];
}

const ALL: readonly Group[] = [
  { id: '', entries: [entry('overview')] },
  { id: 'routing', entries: [entry('providers'), entry('combos'), entry('models')] },
  { id: 'use', entries: [entry('keys'), entry('usage'), entry('quotas')] },
  { id: 'observe', entries: [entry('logs'), entry('health')] },
  { id: 'tools', entries: [entry('endpoint'), entry('translator')] },
  { id: '', entries: [entry('settings')] },
];

export const GROUPS: readonly Group[] = ALL.map((group) => ({
  ...group,
  entries: group.entries.filter((one) => moduleOf(one.name) in modules),
})).filter((group) => group.entries.length);

export const PAGES: readonly Entry[] = GROUPS.flatMap((group) => group.entries);

/** Path of a page below the dashboard's: the overview is at its root. */
export function pathOf(name: string): string {
  return name === 'overview' ? '' : name;
}

/** The page of a route's first part; undefined when there is none such. */
export function pageOf(part: string): Entry | undefined {
  return PAGES.find((one) => pathOf(one.name) === part);
}

/** Load a page's code. Gives the name of its element. */
export async function loadPage(name: string): Promise<string> {
  const tag = `page-${name}`;
  const load = modules[moduleOf(name)];
  if (!load) throw new Error(`there is no page ${name}`);
  const module = await load();
  if (!customElements.get(tag)) customElements.define(tag, module.default);
  return tag;
}

function entry(name: IconName): Entry {
  return { name, icon: name };
}

function moduleOf(name: string): string {
  return `../pages/${name}/page.ts`;
}

/** A key as the API has it, as a form shows it, and back. Pure. */
import type { KeyBody } from '../../api/schema.ts';
import type { Course, Sums } from '../../lib/course.ts';
import { expiryOf } from '../../lib/last-day.ts';

export interface Budget {
  readonly period: string;
  readonly limitUsd: number;
  readonly spentUsd: number;
  /** A part of the limit, 0..1; 0 = callers are never told. */
  readonly warningThreshold: number;
  /** Unix seconds; null = it never begins anew. */
  readonly resetsAt: number | null;
}

export interface Key {
  readonly id: string;
  readonly name: string;
  /** Enough of the secret to tell two apart. */
  readonly key: string;
  readonly allowedModels: readonly string[];
  readonly allowedProviders: readonly string[];
  readonly allowedEndpoints: readonly string[];
  readonly allowedIps: readonly string[];
  readonly noLog: boolean;
  readonly rpm: number;
  readonly tpm: number;
  readonly concurrency: number;
  readonly budgetUsd: number;
  readonly budgetPeriod: string;
  readonly warningThreshold: number;
  readonly secondBudgetUsd: number;
  readonly secondBudgetPeriod: string;
  readonly secondWarningThreshold: number;
  readonly priority: string;
  readonly strict: boolean;
  readonly cache: string;
  readonly cacheScope: string;
  readonly singleFlight: string;
  readonly storeBodies: string;
  readonly unshaped: readonly string[];
  /** Unix seconds; 0 = never. */
  readonly expiresAt: number;
  readonly isActive: boolean;
  /** Unix seconds until which the secret of before is valid too. */
  readonly oldSecretUntil: number | null;
  readonly managed: boolean;
  readonly version: number;
  readonly createdAt: number;
  readonly usage: Sums;
  /** None to two, with what is spent of each in the period that runs. */
  readonly budgets: readonly Budget[];
}

export interface KeyDetail extends Key {
  readonly trend: Course;
}

export type KeyState = 'active' | 'off' | 'expired' | 'spent';

type Values = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>;

export const STEPS = ['system_prompt', 'thinking', 'guard', 'pii', 'defaults'] as const;
export const PERIODS = ['daily', 'weekly', 'monthly', 'total'] as const;
export const PRIORITIES = ['interactive', 'agent', 'batch'] as const;
export const SWITCHES = ['', 'on', 'off'] as const;
/** Shares of a budget from which callers are told. */
const WARNINGS = [0, 0.5, 0.75, 0.8, 0.9];

export function stateOf(key: Key, now: number): KeyState {
  if (!key.isActive) return 'off';
  if (key.expiresAt && key.expiresAt <= now) return 'expired';
  return key.budgets.some((budget) => shareOf(budget) >= 1) ? 'spent' : 'active';
}

export function shareOf(budget: Budget): number {
  return budget.limitUsd ? budget.spentUsd / budget.limitUsd : 0;
}

/** The budget that ends first: the one that is worth showing where there is room for one. */
export function tightest(budgets: readonly Budget[]): Budget | undefined {
  return budgets.toSorted((one, other) => shareOf(other) - shareOf(one))[0];
}

/** How urgent it is, as a colour of its bar. */
export function toneOf(budget: Budget): 'bad' | 'warn' | 'info' {
  const share = shareOf(budget);
  return share >= 1 ? 'bad' : share >= (budget.warningThreshold || 0.9) ? 'warn' : 'info';
}

/** The choices of the warning, with one that is set and not among them. */
export function warnings(current: number): number[] {
  return [...new Set([...WARNINGS, current])].sort((one, other) => one - other);
}

/** What is sent. An empty limit is 0: none. */
export function bodyOf(values: Values, before: Key | null): KeyBody {
  const lines = (name: string) => [...((values[name] as readonly string[] | undefined) ?? [])];
  const limit = (name: string) => (values[name] as number | undefined) ?? 0;
  return {
    name: String(values['name'] ?? ''),
    expiresAt: expiryOf(String(values['expiresAt'] ?? ''), before?.expiresAt ?? 0),
    rpm: limit('rpm'),
    tpm: limit('tpm'),
    concurrency: limit('concurrency'),
    budgetUsd: limit('budgetUsd'),
    budgetPeriod: limit('budgetUsd') ? String(values['budgetPeriod'] ?? '') : '',
    warningThreshold: Number(values['warningThreshold'] ?? 0),
    secondBudgetUsd: limit('secondBudgetUsd'),
    secondBudgetPeriod: limit('secondBudgetUsd') ? String(values['secondBudgetPeriod'] ?? '') : '',
    secondWarningThreshold: Number(values['secondWarningThreshold'] ?? 0),
    allowedModels: lines('allowedModels'),
    allowedProviders: lines('allowedProviders'),
    allowedEndpoints: lines('allowedEndpoints'),
    allowedIps: lines('allowedIps'),
    priority: values['priority'] as NonNullable<KeyBody['priority']>,
    strict: Boolean(values['strict']),
    noLog: Boolean(values['noLog']),
    storeBodies: values['storeBodies'] as NonNullable<KeyBody['storeBodies']>,
    cache: values['cache'] as NonNullable<KeyBody['cache']>,
    cacheScope: String(values['cacheScope'] ?? ''),
    singleFlight: values['singleFlight'] as NonNullable<KeyBody['singleFlight']>,
    unshaped: STEPS.filter((step) => values[`unshaped.${step}`]),
  };
}

/** Newest first, as far as it was read. */
export interface List {
  readonly keys: readonly Key[];
  readonly nextCursor: string | null;
}

/** The list with its beginning read again: what was read of it further on stays, so that nobody who reads there loses the place. */
export function withNewest(before: List, newest: List): List {
  const last = newest.keys.at(-1);
  const at = last ? before.keys.findIndex((one) => one.id === last.id) : -1;
  if (newest.nextCursor === null || at < 0 || at === before.keys.length - 1) return newest;
  return { keys: [...newest.keys, ...before.keys.slice(at + 1)], nextCursor: before.nextCursor };
}

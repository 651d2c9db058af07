/** Dark, light, or as the system has it. */
export const THEMES = ['system', 'dark', 'light'] as const;
export type Theme = (typeof THEMES)[number];

const KEPT = 'omniroute.theme';

export function theme(): Theme {
  const kept = localStorage.getItem(KEPT);
  return THEMES.find((one) => one === kept) ?? 'system';
}

/** Tells `theme` on the document: what draws on a canvas draws anew. */
export function chooseTheme(next: Theme): void {
  localStorage.setItem(KEPT, next);
  applyTheme();
  document.dispatchEvent(new Event('theme'));
}

export function applyTheme(): void {
  const chosen = theme();
  if (chosen === 'system') delete document.documentElement.dataset['theme'];
  else document.documentElement.dataset['theme'] = chosen;
}

/** Text with placeholders and plurals. Pure: the caller says the language. */

/** A string, or one for each plural category of its language. `{count}` chooses. */
export type Message = string | Partial<Record<Intl.LDMLPluralRule, string>>;
export type Values = Readonly<Record<string, string | number>>;

/** Signs that turn the direction of what follows: in a name they would turn the sentence around it, too. */
const TURNS = /[\u202a-\u202e\u2066-\u2069]/g;

/** Fill a message. Numbers are written as the language writes them; a placeholder that has no value stays visible. */
export function fill(message: Message, language: string, values: Values = {}): string {
  const text = typeof message === 'string' ? message : choose(message, language, Number(values['count'] ?? 0));
  return text.replace(/\{(\w+)\}/g, (placeholder, name: string) => {
    const value = values[name];
    if (value === undefined) return placeholder;
    return typeof value === 'number' ? new Intl.NumberFormat(language).format(value) : value.replace(TURNS, '');
  });
}

function choose(message: Exclude<Message, string>, language: string, count: number): string {
  const category = new Intl.PluralRules(language).select(count);
  return message[category] ?? message.other ?? '';
}

/**
 * Style properties of one element, set one by one: `html`<td ${css({height: '20px'})}></td>``. A `style` attribute, and
 * with it Lit's own `styleMap`, is refused by the page's content security policy.
 */
import { noChange } from 'lit';
import { Directive, directive, type ElementPart } from 'lit/directive.js';

type Properties = Readonly<Record<string, string>>;

class Css extends Directive {
  override update({ element }: ElementPart, [properties]: [Properties]): typeof noChange {
    const { style } = element as HTMLElement;
    for (const [name, value] of Object.entries(properties)) {
      if (style.getPropertyValue(name) !== value) style.setProperty(name, value);
    }
    return noChange;
  }

  override render(_properties: Properties): typeof noChange {
    return noChange;
  }
}

export const css = directive(Css);

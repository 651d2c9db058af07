import { html } from 'lit';
import { Element } from '../../ui/element.ts';

export class Welcome extends Element {
  protected override render() {
    return html`<h1 tabindex="-1">Welcome</h1>`;
  }
}

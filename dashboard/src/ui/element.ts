/** What all our elements are: Lit, in light DOM, so that one stylesheet and one page's labels reach everywhere. */
import { LitElement } from 'lit';
import { onLanguage } from '../i18n/index.ts';

export abstract class Element extends LitElement {
  private readonly ends: (() => void)[] = [];

  protected override createRenderRoot(): this {
    return this;
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.during(onLanguage(() => this.requestUpdate()));
    this.begin();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    for (const end of this.ends.splice(0)) end();
  }

  /** Called each time the element comes into the page: the place for `during`. */
  protected begin(): void {}

  /** Keep a subscription for as long as the element is in the page: `this.during(onLive('health', …))`. */
  protected during(end: () => void): void {
    this.ends.push(end);
  }
}

/** What a provider says to a credential that is not kept yet. Once it was refused, the same may be kept all the same. */
import type { ReactiveControllerHost } from 'lit';
import { send } from '../../api/client.ts';
import type { NodeProbeBody, ValidateBody } from '../../api/schema.ts';

export interface Found {
  readonly valid: boolean;
  readonly error: string | null;
}

const TEST_LIMIT_MS = 60_000;

export class ProviderCheck {
  /** Why it was refused; '' = it was not. */
  verdict = '';

  constructor(private readonly host: ReactiveControllerHost) {}

  /** Whether to go on: it was accepted, or refused before and is wanted all the same. */
  async run(path: '/api/providers/validate', body: ValidateBody): Promise<boolean>;
  async run(path: '/api/provider-nodes/validate', body: NodeProbeBody): Promise<boolean>;
  async run(path: '/api/providers/validate' | '/api/provider-nodes/validate', body: ValidateBody | NodeProbeBody): Promise<boolean> {
    if (this.verdict) return true;
    const limit = { limitMs: TEST_LIMIT_MS };
    const found =
      path === '/api/providers/validate'
        ? await send<Found>('POST', path, body as ValidateBody, limit)
        : await send<Found>('POST', path, body as NodeProbeBody, limit);
    this.verdict = found.valid ? '' : found.error || '?';
    this.host.requestUpdate();
    return found.valid;
  }

  /** Something else is given now. */
  forget(): void {
    if (!this.verdict) return;
    this.verdict = '';
    this.host.requestUpdate();
  }
}

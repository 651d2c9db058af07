/** What the admin API says when it refuses, as an exception. */

export interface FieldProblem {
  readonly field: string;
  readonly message: string;
}

/** An answer other than success. The message is the API's own. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly details: readonly FieldProblem[] = [],
    /** Of a 409 of somebody else's change: the version as it is now. */
    readonly version: number | null = null,
    readonly retryAfterS = 0,
  ) {
    super(message);
    this.name = 'ApiError';
  }
}

/** Nothing answered in time: the network, or the product, is away. */
export class Offline extends Error {
  constructor(cause?: unknown) {
    super('offline', { cause });
    this.name = 'Offline';
  }
}

/** Reads the body of an error, in our shape or in anybody's. */
export function readProblem(status: number, text: string, retryAfter: string | null): ApiError {
  const retryAfterS = Number(retryAfter) || 0;
  try {
    const error = (JSON.parse(text) as { error?: Record<string, unknown> }).error;
    if (error && typeof error['message'] === 'string') {
      const details = Array.isArray(error['details']) ? (error['details'] as FieldProblem[]) : [];
      const version = typeof error['version'] === 'number' ? error['version'] : null;
      return new ApiError(status, error['message'], details, version, retryAfterS);
    }
  } catch {
    // Not JSON: a proxy's page, say. Its status is all we tell of it.
  }
  return new ApiError(status, `HTTP ${status}`, [], null, retryAfterS);
}

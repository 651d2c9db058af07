declare module 'virtual:catalogs' {
  /** Language tag → address of its strings. */
  export const catalogUrls: Record<string, string>;
}

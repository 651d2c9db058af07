/** Forms with something typed that was not sent: what leaves them asks first (`mayLeave`). */
const typed = new Set<HTMLFormElement>();

/** Something was typed. Of a form marked `data-free` nothing is lost. */
export function noteTyped(form: HTMLFormElement | null | undefined): void {
  if (form && !('free' in form.dataset)) typed.add(form);
}

/** It was sent, or is given up. */
export function noteSaved(form: HTMLFormElement | undefined): void {
  if (form) typed.delete(form);
}

/** Whether something typed would be lost, of the forms within. */
export function unsavedWithin(place: Node = document): HTMLFormElement[] {
  for (const form of typed) if (!form.isConnected) typed.delete(form);
  return [...typed].filter((form) => place.contains(form));
}

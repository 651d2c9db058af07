/** Everything a page is made of. */
export { nothing, html, type TemplateResult } from 'lit';
export * from './controls.ts';
export * from './states.ts';
export { css } from './css.ts';
export { Element } from './element.ts';
export { Page } from './page.ts';
export { icon, type IconName } from './icons.ts';
export { toast, toastProblem } from './toast.ts';
export { ask, askDelete, Dialog } from './dialog.ts';
export { noteTyped } from './unsaved.ts';
export { Form, type Field, type Choice, type Value, type Values } from './form.ts';
export { Table, type Column } from './table.ts';
export { Chart, type Series } from './chart.ts';
export { Reorder, type Item } from './reorder.ts';

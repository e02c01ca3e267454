/** The screens by which labels leave and arrive, in one chunk. */
export { ExportsScreen } from './exports.tsx';
export { ImportsScreen } from './imports.tsx';

// Builds the API reference, a folder of static files that asks no other origin for anything: target/reference.

import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const FOLDER = import.meta.dirname;
const ROOT = join(FOLDER, '..');
const OUTPUT = join(ROOT, 'target', 'reference');
const REDOC = join(FOLDER, 'node_modules', 'redoc');

// The one address that the bundle asks: a picture beside its maker's name.
const LOGO = 'https://cdn.redoc.ly/redoc/logo-mini.svg';
const NOTHING = 'data:image/svg+xml,%3Csvg xmlns=%22http://www.w3.org/2000/svg%22/%3E';

const openapi = readFileSync(join(ROOT, 'docs', 'openapi.json'), 'utf8');
// `</script>` in a description would end the script that holds it.
const embedded = JSON.stringify(JSON.parse(openapi)).replaceAll('<', '\\u003c');
const page = readFileSync(join(FOLDER, 'index.html'), 'utf8').replace('@OPENAPI@', () => embedded);

rmSync(OUTPUT, { recursive: true, force: true });
mkdirSync(OUTPUT, { recursive: true });
writeFileSync(join(OUTPUT, 'index.html'), page);
writeFileSync(join(OUTPUT, 'openapi.json'), openapi);
writeFileSync(join(OUTPUT, 'redoc.js'), withoutLogo(readFileSync(join(REDOC, 'bundles', 'redoc.standalone.js'), 'utf8')));
copyFileSync(join(REDOC, 'LICENSE'), join(OUTPUT, 'redoc-license.txt'));
copyFileSync(join(FOLDER, 'page.js'), join(OUTPUT, 'page.js'));

/** Fails if another version asks for the picture in another way: then this page must be thought over. */
function withoutLogo(bundle) {
  const parts = bundle.split(LOGO);
  if (parts.length !== 2) throw new Error(`${LOGO} is ${parts.length - 1} times in the bundle, not once.`);
  return parts.join(NOTHING);
}

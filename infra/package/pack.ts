/**
 * Writes the npm package of the construct: compiled, with types, and with all that it deploys inside, so that an app needs neither
 * Rust nor this repository. CommonJS, which tsc, ts-node, tsx and jest all load.
 *
 *     node --import tsx package/pack.ts <folder> [<folder of the binaries>]
 */

import { buildSync } from 'esbuild';
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import * as functions from '../lib/functions/index.ts';

const INFRA = path.join(import.meta.dirname, '..');
const ROOT = path.join(INFRA, '..');

export function pack(folder: string, binaries: string): void {
  fs.rmSync(folder, { recursive: true, force: true });
  fs.mkdirSync(folder, { recursive: true });
  compile(path.join(folder, 'dist'));
  const copied: Record<string, string> = {
    'lib/edge': path.join(INFRA, 'lib/edge'),
    'statemachine.asl.json': path.join(ROOT, 'statemachine.asl.json'),
    'headers.json': path.join(ROOT, 'console/headers.json'),
    console: path.join(ROOT, 'console/dist'),
    reference: path.join(ROOT, 'target/reference'),
    LICENSE: path.join(ROOT, 'LICENSE'),
    'README.md': path.join(INFRA, 'package', 'README.md'),
    ...Object.fromEntries(
      Object.keys(functions).map((name) => [`functions/${name}/bootstrap`, path.join(binaries, name, 'bootstrap')]),
    ),
  };
  for (const [name, from] of Object.entries(copied)) fs.cpSync(from, path.join(folder, name), { recursive: true });
  fs.writeFileSync(path.join(folder, 'package.json'), `${JSON.stringify(manifest(), null, 2)}\n`);
}

/** One file of code, and a file of types for each module. */
function compile(dist: string): void {
  buildSync({
    entryPoints: [path.join(INFRA, 'lib/index.ts')],
    outfile: path.join(dist, 'index.js'),
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'cjs',
    packages: 'external',
    define: { 'import.meta.dirname': '__dirname' },
    absWorkingDir: INFRA,
  });
  const types = path.join(dist, 'types');
  const flags = ['--declaration', '--emitDeclarationOnly', '--noEmit', 'false', '--rootDir', 'lib', '--outDir', types];
  execFileSync('npx', ['--no-install', 'tsc', '-p', 'package/tsconfig.json', ...flags], { cwd: INFRA, stdio: 'inherit' });
  for (const name of fs.readdirSync(types, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.d.ts'))) {
    const file = path.join(types, name);
    fs.writeFileSync(file, fs.readFileSync(file, 'utf8').replaceAll(/(['"]\.{1,2}\/[^'"]+)\.ts(['"])/g, '$1.js$2'));
  }
}

function manifest(): object {
  const { version, description, license, dependencies } = JSON.parse(
    fs.readFileSync(path.join(INFRA, 'package.json'), 'utf8'),
  ) as { version: string; description: string; license: string; dependencies: Record<string, string> };
  const peer = (name: string) => `^${dependencies[name]}`;
  return {
    name: 'autolabel-infra',
    version,
    description,
    license,
    main: 'dist/index.js',
    types: 'dist/types/index.d.ts',
    engines: { node: '>=20.11' },
    peerDependencies: { 'aws-cdk-lib': peer('aws-cdk-lib'), constructs: peer('constructs') },
  };
}

if (process.argv[1] === import.meta.filename) {
  const [folder, binaries] = process.argv.slice(2);
  if (folder === undefined) throw new Error('Usage: node --import tsx package/pack.ts <folder> [<folder of the binaries>]');
  pack(path.resolve(folder), path.resolve(binaries ?? path.join(ROOT, 'target/lambda')));
}

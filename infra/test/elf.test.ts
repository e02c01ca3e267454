import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { after, test } from 'node:test';
import { checkBootstrap } from '../lib/elf.ts';
import { Deployment, FUNCTIONS } from './deployment.ts';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'autolabel-'));
after(() => fs.rmSync(folder, { recursive: true }));

const X86_64 = 0x3e;
const ARM64 = 0xb7;
const VERSION_NEEDS = 0x6ffffffe;

/** A binary with a header, two sections, and the versions of one library that it needs. */
function elf(name: string, machine: number, versions: string[] = []): string {
  const names = Buffer.from(`\0${versions.join('\0')}\0`, 'latin1');
  const needs = Buffer.alloc(16 + 16 * versions.length);
  needs.writeUInt16LE(versions.length, 2);
  needs.writeUInt32LE(16, 8);
  versions.forEach((_, n) => {
    const before = versions.slice(0, n).reduce((sum, version) => sum + version.length + 1, 1);
    needs.writeUInt32LE(before, 16 + 16 * n + 8);
    needs.writeUInt32LE(16, 16 + 16 * n + 12);
  });
  const header = Buffer.alloc(64);
  header.writeUInt32BE(0x7f454c46, 0);
  header.set([2, 1], 4);
  header.writeUInt16LE(machine, 18);
  header.writeBigUInt64LE(BigInt(64 + names.length + needs.length), 40);
  header.writeUInt16LE(2, 60);
  const section = (type: number, offset: number, link: number, count: number) => {
    const bytes = Buffer.alloc(64);
    bytes.writeUInt32LE(type, 4);
    bytes.writeBigUInt64LE(BigInt(offset), 24);
    bytes.writeUInt32LE(link, 40);
    bytes.writeUInt32LE(count, 44);
    return bytes;
  };
  const sections = [section(3, 64, 0, 0), section(VERSION_NEEDS, 64 + names.length, 0, versions.length > 0 ? 1 : 0)];
  const file = path.join(folder, name, 'bootstrap');
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, Buffer.concat([header, names, needs, ...sections]));
  return file;
}

test('a binary that Lambda can run is deployed', () => {
  checkBootstrap(elf('good', X86_64, ['GLIBC_2.2.5', 'GLIBC_2.34', 'GCC_3.0']), 'x86_64');
  checkBootstrap(elf('arm', ARM64, ['GLIBC_2.17']), 'arm64');
  checkBootstrap(elf('static', X86_64), 'x86_64');
});

test('a binary of another architecture, or of a newer glibc, ends with a sentence that says what to do', () => {
  const advice = '`make release` builds binaries for Lambda\\.$';
  for (const [file, sentence] of [
    [elf('other', ARM64), 'is built for arm64, and the setting architecture is x86_64\\.'],
    [elf('strange', 0x14), 'is built for another processor, and the setting architecture is x86_64\\.'],
    [elf('new', X86_64, ['GLIBC_2.2.5', 'GLIBC_2.35']), 'needs glibc 2\\.35, and Lambda has 2\\.34\\.'],
    [elf('future', X86_64, ['GLIBC_3.0']), 'needs glibc 3\\.0, and Lambda has 2\\.34\\.'],
  ] as const) {
    assert.throws(() => checkBootstrap(file, 'x86_64'), { message: new RegExp(`/bootstrap ${sentence} ${advice}`) });
  }
  const script = path.join(folder, 'script');
  fs.writeFileSync(script, '#!/bin/sh\n'.padEnd(100));
  assert.throws(() => checkBootstrap(script, 'x86_64'), { message: /is no 64-bit ELF binary\./ });
});

test('a real binary is read too: Node.js itself', () => {
  const architecture = process.arch === 'arm64' ? 'arm64' : 'x86_64';
  assert.throws(() => checkBootstrap(process.execPath, architecture === 'arm64' ? 'x86_64' : 'arm64'), {
    message: /is built for (x86_64|arm64), and the setting architecture is/,
  });
});

test('the synthesis ends at the first function that cannot run', () => {
  for (const name of FUNCTIONS) elf(name, X86_64, ['GLIBC_2.30']);
  const settings = { binaries: folder, foreignBinaries: 'deny' };
  assert.doesNotThrow(() => new Deployment(settings));

  elf('infer', X86_64, ['GLIBC_2.35']);
  assert.throws(() => new Deployment(settings), { message: /infer\/bootstrap needs glibc 2\.35/ });
  assert.throws(() => new Deployment({ ...settings, architecture: 'arm64' }), { message: /is built for x86_64/ });
});

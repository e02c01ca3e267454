/**
 * Whether Lambda can run a binary, read out of its ELF header and its version needs (System V ABI, "ELF Header"; Linux Standard Base,
 * "Symbol Versioning"). A binary that was built for the machine at hand starts nowhere else, and Lambda says so only at the first
 * invocation.
 */

import * as fs from 'node:fs';
import type { Architecture } from './settings.ts';

/** Of Amazon Linux 2023, which `provided.al2023` runs on: glibc 2.34. */
const LAMBDAS_GLIBC = [2, 34] as const;

const MACHINES: Readonly<Record<number, string>> = { 0x3e: 'x86_64', 0xb7: 'arm64' };
const HEADER_BYTES = 64;
const SECTION_BYTES = 64;
/** `SHT_GNU_verneed`: which versions of which library the binary needs. */
const VERSION_NEEDS = 0x6ffffffe;

/** Throws a sentence if Lambda cannot run `file` on `architecture`. */
export function checkBootstrap(file: string, architecture: Architecture): void {
  const bytes = fs.readFileSync(file);
  const refuse = (why: string) => new Error(`${file} ${why} \`make release\` builds binaries for Lambda.`);
  // The class of 64 bits, and little-endian, as both processors are.
  if (bytes.length < HEADER_BYTES || bytes.readUInt32BE(0) !== 0x7f454c46 || bytes[4] !== 2 || bytes[5] !== 1) {
    throw refuse('is no 64-bit ELF binary.');
  }
  const machine = MACHINES[bytes.readUInt16LE(18)] ?? 'another processor';
  if (machine !== architecture) {
    throw refuse(`is built for ${machine}, and the setting architecture is ${architecture}.`);
  }
  const [major, minor] = glibcOf(bytes);
  if (major > LAMBDAS_GLIBC[0] || (major === LAMBDAS_GLIBC[0] && minor > LAMBDAS_GLIBC[1])) {
    throw refuse(`needs glibc ${major}.${minor}, and Lambda has ${LAMBDAS_GLIBC.join('.')}.`);
  }
}

/** The newest glibc that the binary needs; 0.0 if it is linked statically. */
function glibcOf(bytes: Buffer): readonly [number, number] {
  let newest: readonly [number, number] = [0, 0];
  for (const { type, offset, link, count } of sectionsOf(bytes)) {
    if (type !== VERSION_NEEDS) continue;
    const names = sectionsOf(bytes)[link];
    for (const name of neededIn(bytes, offset, count, names?.offset ?? 0)) {
      const [, major, minor] = /^GLIBC_(\d+)\.(\d+)/.exec(name) ?? [];
      const version = [Number(major ?? 0), Number(minor ?? 0)] as const;
      if (version[0] > newest[0] || (version[0] === newest[0] && version[1] > newest[1])) newest = version;
    }
  }
  return newest;
}

interface Section {
  readonly type: number;
  readonly offset: number;
  /** The section with its names. */
  readonly link: number;
  /** Its entries, in a section of version needs. */
  readonly count: number;
}

function sectionsOf(bytes: Buffer): Section[] {
  const table = Number(bytes.readBigUInt64LE(40));
  return Array.from({ length: bytes.readUInt16LE(60) }, (_, n) => {
    const at = table + n * SECTION_BYTES;
    return {
      type: bytes.readUInt32LE(at + 4),
      offset: Number(bytes.readBigUInt64LE(at + 24)),
      link: bytes.readUInt32LE(at + 40),
      count: bytes.readUInt32LE(at + 44),
    };
  });
}

/** The names of needed versions: `count` libraries, each with a list of them. */
function neededIn(bytes: Buffer, start: number, count: number, names: number): string[] {
  const found: string[] = [];
  for (let library = start, left = count; left > 0; left -= 1) {
    let version = library + bytes.readUInt32LE(library + 8);
    for (let versions = bytes.readUInt16LE(library + 2); versions > 0; versions -= 1) {
      const name = names + bytes.readUInt32LE(version + 8);
      found.push(bytes.toString('latin1', name, bytes.indexOf(0, name)));
      version += bytes.readUInt32LE(version + 12);
    }
    library += bytes.readUInt32LE(library + 12);
  }
  return found;
}

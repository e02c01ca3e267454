/** The files that settings name. A missing file is an illegal setting, and the synthesis says so before the CDK reads it. */

import { X509Certificate } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import type { Settings } from './settings.ts';
import { PACKAGE_FOLDER, SHIPPED } from './shipped.ts';

/** A Lambda's environment takes 4 KB in all. */
const MAX_ROOTS_CHARS = 2_500;

const ADVICE: Readonly<Partial<Record<keyof Settings, string>>> = {
  binaries: ' `make build` builds the binaries.',
  consoleFiles: ' `make console` builds the page.',
  referenceFiles: ' `make reference` builds the API reference.',
};

/** The absolute path of `file`, or of the file that `setting` names. */
export function existing(
  settings: Settings,
  setting: 'binaries' | 'stateMachineFile' | 'extraRoots' | 'consoleFiles' | 'referenceFiles',
  file: string = settings[setting],
): string {
  const isDefault = Object.values<string>(SHIPPED).includes(settings[setting]);
  const found = path.resolve(isDefault ? PACKAGE_FOLDER : process.cwd(), file);
  if (fs.existsSync(found)) return found;
  throw new Error(
    `Setting ${setting} is ${JSON.stringify(settings[setting])}, but there is no ${found}.${ADVICE[setting] ?? ''}`,
  );
}

/** The certificates of the file `extraRoots`, without the text around them; '' without a file. */
export function extraRoots(settings: Settings): string {
  if (settings.extraRoots === '') return '';
  const text = fs.readFileSync(existing(settings, 'extraRoots'), 'utf8');
  const certificates = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  const roots = certificates.map((certificate) => `${certificate}\n`).join('');
  if (!certificates.every(isAuthority) || roots === '' || roots.length > MAX_ROOTS_CHARS) {
    throw new Error(
      `Setting extraRoots is ${JSON.stringify(settings.extraRoots)}, which must hold PEM certificates of authorities, of ${MAX_ROOTS_CHARS} characters at most.`,
    );
  }
  return roots;
}

function isAuthority(pem: string): boolean {
  try {
    return new X509Certificate(pem).ca;
  } catch {
    return false;
  }
}

/** The files that the construct brings along. A packed package holds them; in the repository they are where they are built. */

import * as fs from 'node:fs';
import * as path from 'node:path';

/** Of this package. A bundle in `dist` and a module in `lib` are both one level below it. */
export const PACKAGE_FOLDER = path.join(import.meta.dirname, '..');

const isPacked = fs.existsSync(path.join(PACKAGE_FOLDER, 'dist'));
const shipped = (inPackage: string, inRepository: string) => (isPacked ? inPackage : inRepository);

/** The defaults of settings that are paths, relative to the package's folder. */
export const SHIPPED = {
  binaries: shipped('functions', '../target/lambda'),
  stateMachineFile: shipped('statemachine.asl.json', '../statemachine.asl.json'),
  consoleFiles: shipped('console', '../console/dist'),
  referenceFiles: shipped('reference', '../target/reference'),
} as const;

/** The headers of every file of the page, which the local stack sends too. `{pictures}` stands for the origins of the files of items. */
export const HEADERS_FILE = path.join(PACKAGE_FOLDER, shipped('headers.json', '../console/headers.json'));
export const EDGE_FOLDER = path.join(PACKAGE_FOLDER, 'lib/edge');

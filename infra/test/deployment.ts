/** A synthesized deployment to read, with a stand-in for every binary: the template holds only their addresses. */

import { App } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { after } from 'node:test';
import type { RustFunction } from '../lib/constructs/rust-function.ts';
import * as functions from '../lib/functions/index.ts';
import type { FunctionName } from '../lib/settings.ts';
import { AutoLabelStack } from '../lib/stack.ts';

export type { FunctionName } from '../lib/settings.ts';

export const FUNCTIONS = Object.keys(functions) as readonly FunctionName[];

/** A part of the template, which has no types. */
export type Json = any;

export const CERTIFICATE = 'arn:aws:acm:us-east-1:123456789012:certificate/0a1b-2c3d';
export const WEB_ACL = 'arn:aws:wafv2:us-east-1:123456789012:global/webacl/labels/0a1b-2c3d';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'autolabel-'));
after(() => fs.rmSync(folder, { recursive: true }));
const written = (file: string, content = '') => {
  fs.mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
  fs.writeFileSync(path.join(folder, file), content);
};
for (const name of FUNCTIONS) written(`lambda/${name}/bootstrap`);

/** The files of the page, by their keys in its bucket. */
export const PAGE_FILES = ['assets/index-D1.css', 'assets/index-E2.js', 'icon.svg', 'index.html'];
for (const key of PAGE_FILES) written(`page/${key}`, key);
export const REFERENCE_FILES = ['index.html', 'openapi.json'];
for (const key of REFERENCE_FILES) written(`reference/${key}`, key);

const FILES = {
  binaries: path.join(folder, 'lambda'),
  foreignBinaries: 'allow',
  consoleFiles: path.join(folder, 'page'),
  referenceFiles: path.join(folder, 'reference'),
};

export class Deployment {
  readonly app: App;
  readonly stack: AutoLabelStack;

  constructor(context: Record<string, unknown> = {}) {
    this.app = new App({ context: { ...FILES, ...context } });
    this.stack = new AutoLabelStack(this.app, 'AutoLabel');
  }

  get template(): Template {
    return Template.fromStack(this.stack);
  }

  get autoLabel() {
    return this.stack.autoLabel;
  }

  /** The properties of the only resource of `type`. */
  only(type: string): Json {
    const found = Object.values(this.template.findResources(type));
    if (found.length !== 1) throw new Error(`There are ${found.length} of ${type}.`);
    return found[0]!.Properties;
  }

  environment(name: FunctionName): Json {
    const { functions } = this.autoLabel;
    return this.resource(functions[name]).Properties.Environment.Variables;
  }

  resource(construct: RustFunction): Json {
    return this.template.toJSON().Resources[this.stack.getLogicalId(construct.node.defaultChild as never)];
  }
}

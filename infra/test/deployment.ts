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

const binaries = fs.mkdtempSync(path.join(os.tmpdir(), 'autolabel-'));
for (const name of FUNCTIONS) {
  fs.mkdirSync(path.join(binaries, name));
  fs.writeFileSync(path.join(binaries, name, 'bootstrap'), '');
}
after(() => fs.rmSync(binaries, { recursive: true }));

export class Deployment {
  readonly app: App;
  readonly stack: AutoLabelStack;

  constructor(context: Record<string, unknown> = {}) {
    this.app = new App({ context: { binaries, ...context } });
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

/** The package, packed, installed into an empty CDK app and synthesized there, as a user does it. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { after, test } from 'node:test';
import * as functions from '../lib/functions/index.ts';
import { pack } from './pack.ts';

const INFRA = path.join(import.meta.dirname, '..');
const { dependencies, devDependencies } = JSON.parse(fs.readFileSync(path.join(INFRA, 'package.json'), 'utf8'));
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'autolabel-'));
after(() => fs.rmSync(folder, { recursive: true }));
// Stand-ins: real ones would only be compressed, for a minute.
const BINARIES = path.join(folder, 'lambda');
for (const name of Object.keys(functions)) {
  fs.mkdirSync(path.join(BINARIES, name), { recursive: true });
  fs.writeFileSync(path.join(BINARIES, name, 'bootstrap'), name);
}

const APP = `import { App, Stack } from 'aws-cdk-lib';
import * as actions from 'aws-cdk-lib/aws-cloudwatch-actions';
import * as sns from 'aws-cdk-lib/aws-sns';
import { AutoLabel, AutoLabelStack } from 'autolabel-infra';

const app = new App();
const stack = new Stack(app, 'Labels');
const { alarms } = new AutoLabel(stack, 'AutoLabel', { foreignBinaries: 'allow', logDays: 7 });
for (const alarm of alarms) alarm.addAlarmAction(new actions.SnsAction(new sns.Topic(stack, alarm.node.id + 'Topic')));
new AutoLabelStack(app, 'Whole');
app.synth();
`;

const run = (command: string, args: string[], cwd: string) =>
  execFileSync(command, args, { cwd, encoding: 'utf8', env: { ...process.env, CDK_VALIDATION: 'false' } });

function packed(name: string): string {
  const from = path.join(folder, name);
  pack(from, BINARIES);
  const tarball = JSON.parse(run('npm', ['pack', '--json', '--pack-destination', folder], from))[0];
  const file = path.join(folder, `${name}.tgz`);
  fs.renameSync(path.join(folder, tarball.filename), file);
  return file;
}

const tarball = packed('once');

test('the package is the same, byte for byte, when it is packed again', { timeout: 120_000 }, () => {
  const [once, again] = [tarball, packed('again')].map((file) => fs.readFileSync(file));

  assert.ok(once!.equals(again!));
});

test('an empty CDK app compiles with the package and synthesizes', { timeout: 180_000 }, () => {
  const app = path.join(folder, 'app');
  fs.mkdirSync(path.join(app, 'node_modules'), { recursive: true });
  // The libraries of an app are its own. Here they are those of this folder, which no registry has to send.
  for (const name of ['@aws-cdk', '@types', 'aws-cdk-lib', 'constructs', 'typescript', 'undici-types']) {
    fs.symlinkSync(path.join(INFRA, 'node_modules', name), path.join(app, 'node_modules', name));
  }
  fs.mkdirSync(path.join(app, 'node_modules/autolabel-infra'));
  run('tar', ['xzf', tarball, '--strip-components=1', '-C', 'node_modules/autolabel-infra'], app);
  fs.writeFileSync(path.join(app, 'app.ts'), APP);
  const flags = ['--strict', '--module', 'commonjs', '--target', 'es2022', '--preserveSymlinks', '--types', 'node'];
  run(process.execPath, ['node_modules/typescript/bin/tsc', ...flags, 'app.ts'], app);
  const cdk = { CDK_OUTDIR: 'cdk.out', CDK_CONTEXT_JSON: JSON.stringify({ foreignBinaries: 'allow' }) };
  execFileSync(process.execPath, ['--preserve-symlinks', 'app.js'], {
    cwd: app,
    env: { ...process.env, ...cdk, CDK_VALIDATION: 'false' },
  });

  for (const stack of ['Labels', 'Whole']) {
    const { Resources } = JSON.parse(fs.readFileSync(path.join(app, `cdk.out/${stack}.template.json`), 'utf8'));
    const types = Object.values<{ Type: string }>(Resources).map(({ Type }) => Type);
    assert.ok(types.includes('AWS::StepFunctions::StateMachine') && types.includes('AWS::CloudFront::Distribution'), stack);
  }
});

test('an app brings the CDK, and the package none of its own', () => {
  const from = path.join(folder, 'once');
  const { peerDependencies, dependencies: own } = JSON.parse(fs.readFileSync(path.join(from, 'package.json'), 'utf8'));

  assert.equal(own, undefined);
  assert.deepEqual(peerDependencies, {
    'aws-cdk-lib': `^${dependencies['aws-cdk-lib']}`,
    constructs: `^${dependencies.constructs}`,
  });
  assert.ok(devDependencies.esbuild, 'what compiles it is named');
});

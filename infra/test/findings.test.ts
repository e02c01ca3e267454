import { Stack, Validations } from 'aws-cdk-lib';
import { AwsSolutionsChecks } from 'cdk-nag';
import type { IConstruct } from 'constructs';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AutoLabel } from '../lib/autolabel.ts';
import { CERTIFICATE, Deployment, WEB_ACL } from './deployment.ts';

// With a bucket of a tenant's: what the setting adds must be acknowledged as well.
const { app, stack } = new Deployment({ sourceBuckets: { pictures: ['acme'] } });
const OF_ITS_OWN = {
  consoleDomain: 'labels.example.com',
  consoleCertificateArn: CERTIFICATE,
  webAclArn: WEB_ACL,
  consoleLogBucket: 'logs',
};

test('cdk-nag finds nothing that is not acknowledged', () => {
  for (const deployment of [{ app, stack }, new Deployment(OF_ITS_OWN), new Deployment({ console: 'off' })]) {
    const { violations } = new AwsSolutionsChecks(deployment.app).validateScope(deployment.stack);

    assert.deepEqual(violations, []);
  }
});

test('each acknowledgement is on one resource, names one finding, and gives its reason', () => {
  const acknowledgements = stack.node
    .findAll()
    .flatMap((construct) => acknowledgedOn(construct).map((entry) => [construct, ...entry] as const));

  assert.notEqual(acknowledgements.length, 0);
  for (const [construct, rule, reason] of [
    ...acknowledgements,
    ...acknowledgedOn(app).map((entry) => [app, ...entry] as const),
  ]) {
    assert.ok(
      !(construct instanceof Stack) && !(construct instanceof AutoLabel) && construct !== app,
      `${rule} on ${construct.node.path}`,
    );
    assert.doesNotMatch(rule, /IAM5$/);
    assert.ok(reason.length > 20, rule);
  }
});

function acknowledgedOn(construct: IConstruct): [rule: string, reason: string][] {
  return construct.node.metadata
    .filter(({ type }) => type === Validations.ACKNOWLEDGED_RULES_METADATA_KEY)
    .flatMap(({ data }) => Object.entries(data as Record<string, string>));
}

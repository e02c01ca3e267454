/** The rights of a role as the template grants them, in words that a test can list. */

import assert from 'node:assert/strict';
import { type Deployment, FUNCTIONS, type Json } from './deployment.ts';

/** `action resource` for each right of a role, sorted. A resource has the name that `namesOf` gives it. */
export function rightsOf(deployment: Deployment, role: string, logGroup?: string): string[] {
  const names = namesOf(deployment);
  const nameOf = (resource: Json): string => {
    if (resource === '*') return '*';
    if (logGroup !== undefined && resource['Fn::GetAtt']?.[0] === logGroup) return 'own log group';
    const arn = JSON.stringify(resource);
    return names.get(arn) ?? patternOf(deployment, arn) ?? arn;
  };
  const rights = statementsOf(deployment, role).flatMap(({ Effect, Action, Resource, Condition }: Json) => {
    assert.equal(Effect, 'Allow');
    if (Condition !== undefined) assert.deepEqual(Object.keys(Condition), ['StringLike']);
    const only = Object.entries(Condition?.StringLike ?? {}).map(([key, value]) => ` if ${key} ${value}`);
    return [Action]
      .flat()
      .flatMap((action) => [Resource].flat().map((resource) => `${action} ${nameOf(resource)}${only.join()}`));
  });
  return rights.sort();
}

/** The statements of a role, or of all roles. */
export function statementsOf({ template }: Deployment, role?: string): Json[] {
  return Object.values(template.findResources('AWS::IAM::Policy'))
    .filter(({ Properties }) => role === undefined || Properties.Roles.some(({ Ref }: Json) => Ref === role))
    .flatMap(({ Properties }) => Properties.PolicyDocument.Statement);
}

/** The names of resources, by the ARNs of the template. */
function namesOf({ stack, autoLabel }: Deployment): Map<string, string> {
  const { table, bucket, machine, webhookQueue, webhookOverflow, deadLetters, uploadQueue, uploadDeadLetters } = autoLabel;
  const { exportQueue, importQueue } = autoLabel;
  const arns = {
    table: table.tableArn,
    listing: table.indexArn('listing'),
    unlabeled: table.indexArn('unlabeled'),
    active: table.indexArn('active'),
    bucket: bucket.bucketArn,
    items: bucket.arnForObjects('projects/*'),
    work: bucket.arnForObjects('jobs/*'),
    drafts: bucket.arnForObjects('jobs/*/drafts/*'),
    corrections: bucket.arnForObjects('corrections/*'),
    exportFiles: bucket.arnForObjects('exports/*'),
    importObjects: bucket.arnForObjects('imports/*'),
    importFiles: bucket.arnForObjects('imports/uploads/*'),
    importReports: bucket.arnForObjects('imports/reports/*'),
    lists: bucket.arnForObjects('jobs/*/batches.json'),
    probe: bucket.arnForObjects('probes/picture.jpg'),
    machine: machine.stateMachineArn,
    queue: webhookQueue.queueArn,
    overflow: webhookOverflow.queueArn,
    deadLetters: deadLetters.queueArn,
    uploads: uploadQueue.queueArn,
    uploadDeadLetters: uploadDeadLetters.queueArn,
    exportSteps: exportQueue.queueArn,
    imports: importQueue.queueArn,
    key: autoLabel.secretsKey.keyArn,
    ...Object.fromEntries(FUNCTIONS.map((name) => [name, autoLabel.functions[name].functionArn])),
  };
  return new Map(Object.entries(arns).map(([name, arn]) => [JSON.stringify(stack.resolve(arn)), name]));
}

function patternOf({ stack, autoLabel }: Deployment, arn: string): string | undefined {
  if (arn.includes(':sagemaker:*:') && arn.endsWith(':endpoint/*"]]}')) return 'endpoints';
  if (arn.includes(':sagemaker:*:') && arn.endsWith(':inference-component/*"]]}')) return 'inference components';
  if (arn.includes(':iam::*:role/*')) return 'roles';
  const machineName = JSON.stringify(stack.resolve(autoLabel.machine.stateMachineName));
  if (arn.includes(':states:') && arn.endsWith(`:execution:",${machineName},":*"]]}`)) return 'executions';
  if (arn.includes(':states:') && arn.endsWith(`:execution:",${machineName},"/Batches:*"]]}`)) return 'batches';
  return undefined;
}

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Deployment, FUNCTIONS, type Json } from './deployment.ts';

const deployment = new Deployment();
const { stack, autoLabel } = deployment;
const {
  table,
  bucket,
  machine,
  webhookQueue,
  webhookOverflow,
  deadLetters,
  uploadQueue,
  uploadDeadLetters,
  secretsKey,
  functions,
} = autoLabel;

/** The names that the expectations below use for the ARNs of the template. */
const NAMES = new Map<string, string>(
  Object.entries({
    table: table.tableArn,
    listing: table.indexArn('listing'),
    unlabeled: table.indexArn('unlabeled'),
    active: table.indexArn('active'),
    bucket: bucket.bucketArn,
    items: bucket.arnForObjects('projects/*'),
    work: bucket.arnForObjects('jobs/*'),
    drafts: bucket.arnForObjects('jobs/*/drafts/*'),
    lists: bucket.arnForObjects('jobs/*/batches.json'),
    probe: bucket.arnForObjects('probes/picture.jpg'),
    machine: machine.stateMachineArn,
    queue: webhookQueue.queueArn,
    overflow: webhookOverflow.queueArn,
    deadLetters: deadLetters.queueArn,
    uploads: uploadQueue.queueArn,
    uploadDeadLetters: uploadDeadLetters.queueArn,
    key: secretsKey.keyArn,
    ...Object.fromEntries(FUNCTIONS.map((name) => [name, functions[name].functionArn])),
  }).map(([name, arn]) => [JSON.stringify(stack.resolve(arn)), name]),
);

const KEPT = ['GetItem', 'Query', 'PutItem', 'UpdateItem', 'DeleteItem'].map((action) => `dynamodb:${action} table`);

const CALLING_MODELS = [
  'kms:Decrypt key',
  'sagemaker:InvokeEndpoint endpoints',
  'sagemaker:InvokeEndpoint inference components',
  'sts:AssumeRole roles',
];

const EXPECTED: Record<(typeof FUNCTIONS)[number], string[]> = {
  jobs: [
    ...KEPT,
    'dynamodb:BatchGetItem table',
    'dynamodb:Query listing',
    'sqs:SendMessage queue',
    'states:StartExecution machine',
    'states:StopExecution executions',
  ],
  catalog: [
    'dynamodb:GetItem table',
    'dynamodb:BatchGetItem table',
    'dynamodb:Query table',
    'dynamodb:Query listing',
    'dynamodb:PutItem table',
    'dynamodb:UpdateItem table',
    's3:GetObject items',
    's3:PutObject items',
    's3:GetObject drafts',
    'sqs:SendMessage queue',
  ],
  providers: [...KEPT, 'kms:Encrypt key', 's3:GetObject probe', 's3:PutObject probe', ...CALLING_MODELS],
  webhooks: [
    ...KEPT,
    'dynamodb:BatchGetItem table',
    'dynamodb:Query listing',
    'kms:Encrypt key',
    'kms:Decrypt key',
    'sqs:SendMessage queue',
  ],
  plan: [
    'dynamodb:GetItem table',
    'dynamodb:BatchGetItem table',
    'dynamodb:PutItem table',
    'dynamodb:Query table',
    'dynamodb:Query unlabeled',
    'dynamodb:UpdateItem table',
    's3:GetObject work',
    's3:PutObject work',
  ],
  infer: [
    'dynamodb:GetItem table',
    'dynamodb:Query table',
    'dynamodb:PutItem table',
    'dynamodb:UpdateItem table',
    's3:GetObject work',
    's3:GetObject items',
    's3:PutObject work',
    ...CALLING_MODELS,
  ],
  finalize: [...KEPT, 'sqs:SendMessage queue'],
  settle: [
    ...KEPT,
    'dynamodb:Query active',
    'sqs:SendMessage queue',
    'sqs:SendMessage overflow',
    'states:DescribeExecution executions',
    'states:StopExecution executions',
  ],
  deliver: [
    'dynamodb:GetItem table',
    'dynamodb:UpdateItem table',
    'sqs:SendMessage overflow',
    'sqs:SendMessage deadLetters',
    ...['queue', 'overflow'].flatMap((queue) =>
      ['ReceiveMessage', 'DeleteMessage', 'GetQueueAttributes'].map((action) => `sqs:${action} ${queue}`),
    ),
    'kms:Decrypt key',
  ],
  ingest: [
    ...KEPT,
    'dynamodb:BatchGetItem table',
    'dynamodb:Query active',
    'dynamodb:Query unlabeled',
    's3:GetObject items',
    's3:ListBucket bucket if s3:prefix projects/*',
    'states:StartExecution machine',
    'sqs:SendMessage uploads',
    'sqs:SendMessage uploadDeadLetters',
    'sqs:ReceiveMessage uploads',
    'sqs:DeleteMessage uploads',
    'sqs:GetQueueAttributes uploads',
  ],
};

describe('each function may do exactly what it is for', () => {
  for (const name of FUNCTIONS) {
    test(name, () => {
      const own = ['logs:CreateLogStream own log group', 'logs:PutLogEvents own log group'];
      const role = deployment.resource(functions[name]).Properties.Role['Fn::GetAtt'][0];
      const logGroup = deployment.resource(functions[name]).Properties.LoggingConfig.LogGroup.Ref;

      assert.deepEqual(grantsOf(role, logGroup), [...EXPECTED[name], ...own].sort());
    });
  }
});

test('a bucket of the setting is read by catalog, infer and ingest, and by nobody else', () => {
  const sourced = new Deployment({ sourceBuckets: { pictures: ['acme'], scans: ['acme', 'other'] } });
  const policies: Json[] = Object.values(sourced.template.findResources('AWS::IAM::Policy'));
  const readers = policies.flatMap(({ Properties }) => {
    const reads = Properties.PolicyDocument.Statement.filter((statement: Json) =>
      /:s3:::(pictures|scans)\//.test(JSON.stringify(statement)),
    );
    return reads.map((statement: Json) => [Properties.Roles[0].Ref, statement]);
  });
  const roleOf = (name: (typeof FUNCTIONS)[number]) =>
    sourced.resource(sourced.autoLabel.functions[name]).Properties.Role['Fn::GetAtt'][0];

  assert.deepEqual(readers.map(([role]) => role).sort(), [roleOf('catalog'), roleOf('infer'), roleOf('ingest')].sort());
  for (const [, statement] of readers) {
    assert.equal(statement.Action, 's3:GetObject');
    assert.match(JSON.stringify(statement.Resource), /^\[.*":s3:::pictures\/\*".*":s3:::scans\/\*".*\]$/);
  }
  const [listing] = policies.flatMap(({ Properties }) =>
    Properties.PolicyDocument.Statement.filter((statement: Json) => /:s3:::(pictures|scans)"/.test(JSON.stringify(statement))),
  );
  assert.deepEqual([listing.Action, listing.Condition], ['s3:ListBucket', { StringLike: { 's3:prefix': 'projects/*' } }]);
});

test('the state machine may invoke the three functions of its tasks, run batches apart, deliver its log, trace, and nothing else', () => {
  const role = deployment.only('AWS::StepFunctions::StateMachine').RoleArn['Fn::GetAtt'][0];
  const delivery = ['Create', 'Get', 'Update', 'Delete', 'List'].map(
    (verb) => `logs:${verb}LogDeliver${verb === 'List' ? 'ies' : 'y'} *`,
  );
  const policies = ['logs:PutResourcePolicy *', 'logs:DescribeResourcePolicies *', 'logs:DescribeLogGroups *'];
  const trace = ['PutTraceSegments', 'PutTelemetryRecords', 'GetSamplingRules', 'GetSamplingTargets'].map(
    (verb) => `xray:${verb} *`,
  );
  const invoke = ['plan', 'infer', 'finalize'].map((name) => `lambda:InvokeFunction ${name}`);

  const apart = [
    's3:GetObject lists',
    'states:StartExecution machine',
    ...['Describe', 'Stop'].flatMap((verb) => ['executions', 'batches'].map((of) => `states:${verb}Execution ${of}`)),
  ];

  assert.deepEqual(grantsOf(role), [...invoke, ...apart, ...delivery, ...policies, ...trace].sort());
});

test('no role has a managed policy, and no statement a wildcard for its action', () => {
  for (const role of Object.values(deployment.template.findResources('AWS::IAM::Role'))) {
    assert.equal(role.Properties.ManagedPolicyArns, undefined);
    assert.equal(role.Properties.Policies, undefined);
  }
  for (const statement of statements()) {
    for (const action of [statement.Action].flat()) assert.doesNotMatch(action, /\*/);
  }
});

/** `action resource` for each right of a role, sorted; resources by their names above. */
function grantsOf(role: string, logGroup?: string): string[] {
  const own = statements(role).flatMap(({ Effect, Action, Resource, Condition }: Json) => {
    assert.equal(Effect, 'Allow');
    if (Condition !== undefined) assert.deepEqual(Object.keys(Condition), ['StringLike']);
    const only = Object.entries(Condition?.StringLike ?? {}).map(([key, value]) => ` if ${key} ${value}`);
    return [Action]
      .flat()
      .flatMap((action) => [Resource].flat().map((resource) => `${action} ${nameOf(resource, logGroup)}${only.join()}`));
  });
  return own.sort();
}

function statements(role?: string): Json[] {
  return Object.values(deployment.template.findResources('AWS::IAM::Policy'))
    .filter(({ Properties }) => role === undefined || Properties.Roles.some(({ Ref }: Json) => Ref === role))
    .flatMap(({ Properties }) => Properties.PolicyDocument.Statement);
}

function nameOf(resource: Json, logGroup?: string): string {
  if (resource === '*') return '*';
  const arn = JSON.stringify(resource);
  if (logGroup !== undefined && resource['Fn::GetAtt']?.[0] === logGroup) return 'own log group';
  if (arn.includes(':sagemaker:*:') && arn.endsWith(':endpoint/*"]]}')) return 'endpoints';
  if (arn.includes(':sagemaker:*:') && arn.endsWith(':inference-component/*"]]}')) return 'inference components';
  if (arn.includes(':iam::*:role/*')) return 'roles';
  const machineName = JSON.stringify(stack.resolve(machine.stateMachineName));
  if (arn.includes(':states:') && arn.endsWith(`:execution:",${machineName},":*"]]}`)) return 'executions';
  if (arn.includes(':states:') && arn.endsWith(`:execution:",${machineName},"/Batches:*"]]}`)) return 'batches';
  return NAMES.get(arn) ?? arn;
}

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Deployment, type FunctionName, type Json } from './deployment.ts';
import { rightsOf, statementsOf } from './rights.ts';

const deployment = new Deployment();
test('a bucket of the setting is read by adopt, catalog, compose, infer and ingest, and by no other function', () => {
  const sourced = new Deployment({ sourceBuckets: { pictures: ['acme'], scans: ['acme', 'other'] } });
  const policies: Json[] = Object.values(sourced.template.findResources('AWS::IAM::Policy'));
  const readers = policies.flatMap(({ Properties }) => {
    const reads = Properties.PolicyDocument.Statement.filter((statement: Json) =>
      /:s3:::(pictures|scans)\//.test(JSON.stringify(statement)),
    );
    return reads.map((statement: Json) => [Properties.Roles[0].Ref, statement]);
  });
  const roleOf = (name: FunctionName) => sourced.resource(sourced.autoLabel.functions[name]).Properties.Role['Fn::GetAtt'][0];

  assert.deepEqual(
    readers.map(([role]) => role).sort(),
    (['adopt', 'catalog', 'compose', 'infer', 'ingest'] as const).map(roleOf).sort(),
  );
  for (const [, statement] of readers) {
    assert.equal(statement.Action, 's3:GetObject');
    assert.match(JSON.stringify(statement.Resource), /^\[.*":s3:::pictures\/\*".*":s3:::scans\/\*".*\]$/);
  }
  const [listing] = policies.flatMap(({ Properties }) =>
    Properties.PolicyDocument.Statement.filter((statement: Json) => /:s3:::(pictures|scans)"/.test(JSON.stringify(statement))),
  );
  assert.deepEqual([listing.Action, listing.Condition], ['s3:ListBucket', { StringLike: { 's3:prefix': 'projects/*' } }]);
});

test('the state machine may invoke the three functions of its tasks, run batches in executions of their own, deliver its log, trace, and nothing else', () => {
  const role = deployment.only('AWS::StepFunctions::StateMachine').RoleArn['Fn::GetAtt'][0];
  const delivery = ['Create', 'Get', 'Update', 'Delete', 'List'].map(
    (verb) => `logs:${verb}LogDeliver${verb === 'List' ? 'ies' : 'y'} *`,
  );
  const policies = ['logs:PutResourcePolicy *', 'logs:DescribeResourcePolicies *', 'logs:DescribeLogGroups *'];
  const trace = ['PutTraceSegments', 'PutTelemetryRecords', 'GetSamplingRules', 'GetSamplingTargets'].map(
    (verb) => `xray:${verb} *`,
  );
  const invoke = ['plan', 'infer', 'finalize'].map((name) => `lambda:InvokeFunction ${name}`);

  const mapRuns = [
    's3:GetObject lists',
    'states:StartExecution machine',
    ...['Describe', 'Stop'].flatMap((verb) => ['executions', 'batches'].map((of) => `states:${verb}Execution ${of}`)),
  ];

  assert.deepEqual(rightsOf(deployment, role), [...invoke, ...mapRuns, ...delivery, ...policies, ...trace].sort());
});

test('no role has a managed policy, and no statement a wildcard for its action', () => {
  for (const role of Object.values(deployment.template.findResources('AWS::IAM::Role'))) {
    assert.equal(role.Properties.ManagedPolicyArns, undefined);
    assert.equal(role.Properties.Policies, undefined);
  }
  for (const statement of statementsOf(deployment)) {
    for (const action of [statement.Action].flat()) assert.doesNotMatch(action, /\*/);
  }
});

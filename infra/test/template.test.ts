import { Match } from 'aws-cdk-lib/assertions';
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { test } from 'node:test';
import { Deployment, FUNCTIONS, type Json } from './deployment.ts';

const deployment = new Deployment();
const { template, autoLabel, stack } = deployment;
const resources: Record<string, Json> = template.toJSON().Resources;
const ASL: Json = JSON.parse(fs.readFileSync(new URL('../../statemachine.asl.json', import.meta.url), 'utf8'));

test('the table has its three sparse indexes, recovery, encryption and expiry', () => {
  const index = (name: string, projection: object) => ({
    IndexName: name,
    KeySchema: [
      { AttributeName: `${name}_pk`, KeyType: 'HASH' },
      { AttributeName: `${name}_sk`, KeyType: 'RANGE' },
    ],
    Projection: projection,
  });
  const { Properties: table, DeletionPolicy } = Object.values(template.findResources('AWS::DynamoDB::Table'))[0]!;

  assert.deepEqual(table.KeySchema, [
    { AttributeName: 'pk', KeyType: 'HASH' },
    { AttributeName: 'sk', KeyType: 'RANGE' },
  ]);
  assert.deepEqual(table.GlobalSecondaryIndexes, [
    index('listing', { ProjectionType: 'KEYS_ONLY' }),
    index('unlabeled', { ProjectionType: 'INCLUDE', NonKeyAttributes: ['item'] }),
    index('active', { ProjectionType: 'KEYS_ONLY' }),
  ]);
  assert.ok(table.AttributeDefinitions.every(({ AttributeType }: Json) => AttributeType === 'S'));
  assert.equal(table.BillingMode, 'PAY_PER_REQUEST');
  assert.equal(table.PointInTimeRecoverySpecification.PointInTimeRecoveryEnabled, true);
  assert.equal(table.SSESpecification.SSEEnabled, true);
  assert.deepEqual(table.TimeToLiveSpecification, { AttributeName: 'expires_at', Enabled: true });
  assert.equal(DeletionPolicy, 'Retain');
});

test('the bucket is private, encrypted, notifies EventBridge, and drops abandoned uploads', () => {
  template.hasResource('AWS::S3::Bucket', {
    DeletionPolicy: 'Retain',
    Properties: {
      BucketEncryption: Match.anyValue(),
      NotificationConfiguration: { EventBridgeConfiguration: { EventBridgeEnabled: true } },
      LifecycleConfiguration: {
        Rules: [
          { AbortIncompleteMultipartUpload: { DaysAfterInitiation: 1 }, Status: 'Enabled' },
          { ExpirationInDays: 8, Prefix: 'exports/', Status: 'Enabled' },
          { ExpirationInDays: 8, Prefix: 'imports/', Status: 'Enabled' },
        ],
      },
      PublicAccessBlockConfiguration: {
        BlockPublicAcls: true,
        BlockPublicPolicy: true,
        IgnorePublicAcls: true,
        RestrictPublicBuckets: true,
      },
    },
  });
});

test('both buckets and every queue refuse requests without TLS', () => {
  const policies = [
    ...Object.values(template.findResources('AWS::S3::BucketPolicy')),
    ...Object.values(template.findResources('AWS::SQS::QueuePolicy')),
  ];

  assert.equal(policies.length, 12);
  for (const { Properties } of policies) {
    const refusal = Properties.PolicyDocument.Statement.find(({ Effect }: Json) => Effect === 'Deny');
    assert.deepEqual(refusal.Condition, { Bool: { 'aws:SecureTransport': 'false' } });
  }
});

test('a webhook record that fails five times goes to the dead-letter queue, and is not shown again while Lambda may still retry it', () => {
  const deliver = deployment.resource(autoLabel.functions.deliver).Properties;
  for (const [workQueue, concurrency] of [
    [autoLabel.webhookQueue, 20],
    [autoLabel.webhookOverflow, 10],
  ] as const) {
    const queue = resources[stack.getLogicalId(workQueue.node.defaultChild as never)].Properties;

    assert.deepEqual(queue.RedrivePolicy, {
      deadLetterTargetArn: stack.resolve(autoLabel.deadLetters.queueArn),
      maxReceiveCount: 5,
    });
    assert.ok(queue.VisibilityTimeout > 6 * deliver.Timeout);
    assert.equal(queue.SqsManagedSseEnabled, true);
    assert.equal(queue.FifoQueue, undefined); // fair, by the group of each message
    template.hasResourceProperties('AWS::Lambda::EventSourceMapping', {
      EventSourceArn: stack.resolve(workQueue.queueArn),
      FunctionName: stack.resolve(autoLabel.functions.deliver.functionName),
      BatchSize: 10,
      ScalingConfig: { MaximumConcurrency: concurrency },
      FunctionResponseTypes: ['ReportBatchItemFailures'],
    });
  }
});

test('Lambda ends chains of messages but those of the four functions that end them', () => {
  const allowed = FUNCTIONS.filter((name) => deployment.resource(autoLabel.functions[name]).Properties.RecursiveLoop === 'Allow');
  assert.deepEqual(allowed, ['adopt', 'compose', 'deliver', 'ingest']);
});

test('events of S3, the ends of jobs and the schedule come to ingest by its queue', () => {
  const queued = [
    Match.objectLike({
      Arn: stack.resolve(autoLabel.uploadQueue.queueArn),
      DeadLetterConfig: { Arn: stack.resolve(autoLabel.uploadDeadLetters.queueArn) },
    }),
  ];
  const objects = (...buckets: unknown[]) => ({
    EventPattern: {
      source: ['aws.s3'],
      'detail-type': ['Object Created', 'Object Deleted'],
      detail: { bucket: { name: buckets }, object: { key: [{ prefix: 'projects/' }] } },
    },
  });

  template.hasResourceProperties('AWS::Events::Rule', {
    ...objects(stack.resolve(autoLabel.bucket.bucketName)),
    Targets: queued,
  });
  template.hasResourceProperties('AWS::Events::Rule', {
    EventPattern: {
      detail: {
        stateMachineArn: [stack.resolve(autoLabel.machine.stateMachineArn)],
        status: ['SUCCEEDED', 'FAILED', 'TIMED_OUT', 'ABORTED'],
      },
    },
    Targets: queued,
  });
  template.hasResourceProperties('AWS::Events::Rule', { ScheduleExpression: 'rate(1 minute)', Targets: queued });

  const sourced = new Deployment({ sourceBuckets: { pictures: ['acme'] } });
  const own = sourced.stack.resolve(sourced.autoLabel.bucket.bucketName);
  sourced.template.hasResourceProperties('AWS::Events::Rule', objects(own, 'pictures'));
});

test('a record about uploads that fails five times goes to the dead-letter queue', () => {
  const queue = resources[stack.getLogicalId(autoLabel.uploadQueue.node.defaultChild as never)].Properties;
  const ingest = deployment.resource(autoLabel.functions.ingest).Properties;

  assert.deepEqual(queue.RedrivePolicy, {
    deadLetterTargetArn: stack.resolve(autoLabel.uploadDeadLetters.queueArn),
    maxReceiveCount: 5,
  });
  assert.ok(queue.VisibilityTimeout > 6 * ingest.Timeout);
  template.hasResourceProperties('AWS::Lambda::EventSourceMapping', {
    EventSourceArn: stack.resolve(autoLabel.uploadQueue.queueArn),
    FunctionName: stack.resolve(autoLabel.functions.ingest.functionName),
    BatchSize: 100,
    MaximumBatchingWindowInSeconds: 1,
    ScalingConfig: { MaximumConcurrency: 10 },
    FunctionResponseTypes: ['ReportBatchItemFailures'],
  });
});

test('the steps of exports and the schedule come to compose by its queue', () => {
  const queue = stack.resolve(autoLabel.exportQueue.queueArn);

  template.hasResourceProperties('AWS::Lambda::EventSourceMapping', {
    EventSourceArn: queue,
    FunctionName: stack.resolve(autoLabel.functions.compose.functionName),
    BatchSize: 1,
    ScalingConfig: { MaximumConcurrency: 5 },
    FunctionResponseTypes: ['ReportBatchItemFailures'],
  });
  template.hasResourceProperties('AWS::Events::Rule', {
    ScheduleExpression: 'rate(1 minute)',
    Targets: [Match.objectLike({ Arn: queue, DeadLetterConfig: { Arn: stack.resolve(autoLabel.exportDeadLetters.queueArn) } })],
  });
});

test('uploaded files of imports, their messages and the schedule come to adopt by its queue, which waits for a long run', () => {
  const queue = stack.resolve(autoLabel.importQueue.queueArn);
  const target = { Arn: queue, DeadLetterConfig: { Arn: stack.resolve(autoLabel.importDeadLetters.queueArn) } };

  template.hasResourceProperties('AWS::Lambda::EventSourceMapping', {
    EventSourceArn: queue,
    FunctionName: stack.resolve(autoLabel.functions.adopt.functionName),
    BatchSize: 1,
    ScalingConfig: { MaximumConcurrency: 5 },
    FunctionResponseTypes: ['ReportBatchItemFailures'],
  });
  for (const rule of [
    {
      EventPattern: Match.objectLike({
        'detail-type': ['Object Created'],
        detail: Match.objectLike({ object: { key: [{ prefix: 'imports/uploads/' }] } }),
      }),
    },
    { ScheduleExpression: 'rate(1 minute)' },
  ]) {
    template.hasResourceProperties('AWS::Events::Rule', { ...rule, Targets: [Match.objectLike(target)] });
  }
  template.hasResourceProperties('AWS::SQS::Queue', { VisibilityTimeout: 5430 });
  template.hasResourceProperties('AWS::Lambda::Function', { Timeout: 900, EphemeralStorage: { Size: 10240 } });
});

test('the state machine is the ASL file with its placeholders filled', () => {
  const machine = deployment.only('AWS::StepFunctions::StateMachine');
  const placeholders = new Set([...JSON.stringify(ASL).matchAll(/\$\{(\w+)\}/g)].map(([, name]) => name));
  const { plan, infer, finalize } = autoLabel.functions;

  assert.deepEqual(new Set(Object.keys(machine.DefinitionSubstitutions)), placeholders);
  assert.deepEqual(machine.DefinitionSubstitutions, {
    PlanArn: stack.resolve(plan.functionArn),
    InferArn: stack.resolve(infer.functionArn),
    FinalizeArn: stack.resolve(finalize.functionArn),
    BucketName: stack.resolve(autoLabel.bucket.bucketName),
  });
  assert.equal(machine.StateMachineType, 'STANDARD');
  assert.equal(machine.LoggingConfiguration.IncludeExecutionData, false); // I11
  assert.equal(machine.LoggingConfiguration.Level, 'ERROR');
  assert.equal(machine.TracingConfiguration.Enabled, true);
});

test('a task waits longer than its function may take', () => {
  const seconds = (placeholder: string) => {
    const arn = deployment.only('AWS::StepFunctions::StateMachine').DefinitionSubstitutions[placeholder];
    return resources[arn['Fn::GetAtt'][0]].Properties.Timeout;
  };
  const tasks = Object.entries(statesOf(ASL)).filter(([, { Type }]) => Type === 'Task');

  assert.notEqual(tasks.length, 0);
  for (const [name, { Parameters, TimeoutSeconds }] of tasks) {
    const [, placeholder] = /^\$\{(\w+)\}$/.exec(Parameters.FunctionName)!;
    assert.ok(TimeoutSeconds > seconds(placeholder!), name);
  }
});

test('settle gets the executions of this machine that ended badly, and runs on a schedule', () => {
  const settle = stack.resolve(autoLabel.functions.settle.functionArn);

  template.hasResourceProperties('AWS::Events::Rule', {
    EventPattern: {
      source: ['aws.states'],
      'detail-type': ['Step Functions Execution Status Change'],
      detail: { stateMachineArn: [stack.resolve(autoLabel.machine.stateMachineArn)], status: ['FAILED', 'TIMED_OUT', 'ABORTED'] },
    },
    Targets: [Match.objectLike({ Arn: settle, DeadLetterConfig: { Arn: stack.resolve(autoLabel.lostEnds.queueArn) } })],
  });
  template.hasResourceProperties('AWS::Events::Rule', {
    ScheduleExpression: 'rate(1 minute)',
    Targets: [Match.objectLike({ Arn: settle })],
  });
});

test('every route leads to its function, in both forms of its path, without an authorizer', () => {
  const routes = Object.values(template.findResources('AWS::ApiGatewayV2::Route')).map(({ Properties }) => {
    assert.equal(Properties.AuthorizationType, 'NONE');
    return [Properties.RouteKey, handlerOf(Properties.Target)] as const;
  });

  assert.deepEqual(Object.fromEntries(routes), {
    'POST /api/v1/projects/{project}/auto-label': 'jobs',
    'POST /api/v1/projects/{project}/auto-label/{proxy+}': 'jobs',
    'ANY /api/v1/auto-label-jobs': 'jobs',
    'ANY /api/v1/auto-label-jobs/{proxy+}': 'jobs',
    'ANY /api/v1/datasets': 'datasets',
    'ANY /api/v1/datasets/{proxy+}': 'datasets',
    'GET /api/v1/datasets/{owner}/{slug}/items': 'catalog',
    'GET /api/v1/datasets/{owner}/{slug}/items/{proxy+}': 'catalog',
    'ANY /api/v1/exports': 'exports',
    'ANY /api/v1/exports/{proxy+}': 'exports',
    'ANY /api/v1/projects/{project}/imports': 'exports',
    'ANY /api/v1/projects/{project}/imports/{proxy+}': 'exports',
    'ANY /api/v1/inference-providers': 'providers',
    'ANY /api/v1/inference-providers/{proxy+}': 'providers',
    'ANY /api/v1/webhooks': 'webhooks',
    'ANY /api/v1/webhooks/{proxy+}': 'webhooks',
    'ANY /api/v1/webhook-deliveries': 'webhooks',
    'ANY /api/v1/webhook-deliveries/{proxy+}': 'webhooks',
    $default: 'catalog',
  });
});

test('the stage logs each request, without headers and query strings', () => {
  const stage = deployment.only('AWS::ApiGatewayV2::Stage');

  assert.equal(stage.StageName, '$default');
  assert.equal(stage.AutoDeploy, true);
  assert.deepEqual(stage.DefaultRouteSettings, { ThrottlingRateLimit: 500, ThrottlingBurstLimit: 1000 });
  assert.ok(stage.AccessLogSettings.DestinationArn);
  assert.doesNotMatch(stage.AccessLogSettings.Format, /header|querystring/i);
});

test('every log group ends its records, and the one function that is not ours copies the files of the page', () => {
  const logGroups = Object.values(template.findResources('AWS::Logs::LogGroup'));

  assert.equal(logGroups.length, FUNCTIONS.length + 3); // and the access log, the machine's, and that of the copies
  for (const { Properties } of logGroups) assert.equal(Properties.RetentionInDays, 30);
  assert.equal(Object.keys(template.findResources('AWS::Lambda::Function')).length, FUNCTIONS.length + 1);
});

test('the template knows of no stand-in for AWS', () => {
  assert.doesNotMatch(JSON.stringify(template.toJSON()), /emulat|local.?stack|mini.?stack|localhost|127\.0\.0\.1/i);
});

test('the outputs name what clients and tools need', () => {
  const { Outputs } = template.toJSON();

  for (const name of [
    'ApiUrl',
    'ConsoleUrl',
    'ConsoleDistributionDomain',
    'ApiId',
    'TableName',
    'BucketName',
    'StateMachineArn',
    'WebhookQueueUrl',
    'WebhookOverflowQueueUrl',
    'DeadLetterQueueUrl',
    'UploadQueueUrl',
    'UploadDeadLetterQueueUrl',
    'SecretsKeyId',
    'DashboardName',
  ]) {
    assert.ok(Outputs[name], name);
  }
  for (const name of FUNCTIONS) assert.ok(Outputs[`${name.charAt(0).toUpperCase()}${name.slice(1)}FunctionName`], name);
  assert.match(JSON.stringify(Outputs.ApiUrl.Value), /ApiEndpoint"\]},"\/api\/v1"\]\]}$/);
});

function handlerOf(target: Json): string | undefined {
  const integration = resources[target['Fn::Join'][1][1].Ref].Properties;
  assert.equal(integration.PayloadFormatVersion, '2.0');
  const uri = JSON.stringify(integration.IntegrationUri);
  return FUNCTIONS.find((name) => uri === JSON.stringify(stack.resolve(autoLabel.functions[name].functionArn)));
}

/** Every state, those inside a Map included. */
function statesOf({ States }: Json): Record<string, Json> {
  const inner = Object.values<Json>(States).flatMap(({ ItemProcessor }) => (ItemProcessor ? [statesOf(ItemProcessor)] : []));
  return Object.assign({}, States, ...inner);
}

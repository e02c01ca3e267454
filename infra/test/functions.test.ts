import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { describe, test } from 'node:test';
import { Deployment, type FunctionName, FUNCTIONS } from './deployment.ts';
import { rightsOf } from './rights.ts';

interface Expected {
  readonly seconds: number;
  readonly mib: number;
  /** Variables beside those of every function. */
  readonly environment: readonly string[];
  /** Rights beside that to write its own log. */
  readonly rights: readonly string[];
}

const COMMON = ['TABLE_NAME', 'RUST_LOG', 'LOOPBACK_HTTP', 'EXTRA_ROOTS'];
const OWN_LOG = ['logs:CreateLogStream own log group', 'logs:PutLogEvents own log group'];

const KEPT = ['GetItem', 'Query', 'PutItem', 'UpdateItem', 'DeleteItem'].map((action) => `dynamodb:${action} table`);

const CALLING_MODELS = [
  'kms:Decrypt key',
  'sagemaker:InvokeEndpoint endpoints',
  'sagemaker:InvokeEndpoint inference components',
  'sts:AssumeRole roles',
];

const EXPECTED: Record<FunctionName, Expected> = {
  jobs: {
    seconds: 29,
    mib: 256,
    environment: ['API_SETTINGS', 'STATE_MACHINE_ARN', 'SAGEMAKER_ENDPOINTS', 'WEBHOOK_QUEUE_URL'],
    rights: [
      ...KEPT,
      'dynamodb:BatchGetItem table',
      'dynamodb:Query listing',
      'sqs:SendMessage queue',
      'states:StartExecution machine',
      'states:StopExecution executions',
    ],
  },
  catalog: {
    seconds: 29,
    mib: 256,
    environment: ['API_SETTINGS', 'BUCKET_NAME', 'SOURCE_BUCKETS', 'WEBHOOK_QUEUE_URL'],
    rights: [
      'dynamodb:GetItem table',
      'dynamodb:BatchGetItem table',
      'dynamodb:Query table',
      'dynamodb:Query listing',
      'dynamodb:PutItem table',
      'dynamodb:UpdateItem table',
      'dynamodb:DeleteItem table',
      's3:GetObject items',
      's3:PutObject items',
      's3:GetObject drafts',
      's3:GetObject corrections',
      's3:PutObject corrections',
      'sqs:SendMessage queue',
    ],
  },
  datasets: {
    seconds: 29,
    mib: 256,
    environment: ['API_SETTINGS', 'BUCKET_NAME', 'UPLOAD_QUOTA_GIB'],
    rights: [
      'dynamodb:GetItem table',
      'dynamodb:BatchGetItem table',
      'dynamodb:Query table',
      'dynamodb:Query listing',
      'dynamodb:PutItem table',
      'dynamodb:UpdateItem table',
      's3:PutObject items',
      's3:ListBucket bucket if s3:prefix projects/*',
    ],
  },
  exports: {
    seconds: 29,
    mib: 256,
    environment: ['API_SETTINGS', 'BUCKET_NAME', 'EXPORT_DAYS', 'EXPORT_QUEUE_URL', 'IMPORT_QUEUE_URL', 'SOURCE_BUCKETS'],
    rights: [
      ...KEPT,
      's3:GetObject exportFiles',
      's3:DeleteObject exportFiles',
      's3:ListBucket bucket if s3:prefix exports/*',
      's3:PutObject importFiles',
      's3:GetObject importReports',
      'sqs:SendMessage exportSteps',
      'sqs:SendMessage imports',
    ],
  },
  compose: {
    seconds: 60,
    mib: 1769,
    environment: ['BUCKET_NAME', 'EXPORT_QUEUE_URL', 'SOURCE_BUCKETS', 'WEBHOOK_QUEUE_URL'],
    rights: [
      ...KEPT,
      'dynamodb:BatchGetItem table',
      'dynamodb:Query active',
      'dynamodb:Query listing',
      's3:GetObject exportFiles',
      's3:PutObject exportFiles',
      's3:DeleteObject exportFiles',
      's3:GetObject drafts',
      's3:GetObject corrections',
      's3:GetObject items',
      's3:ListBucket bucket if s3:prefix exports/*',
      'sqs:SendMessage queue',
      'sqs:SendMessage exportSteps',
      'sqs:ReceiveMessage exportSteps',
      'sqs:DeleteMessage exportSteps',
      'sqs:GetQueueAttributes exportSteps',
    ],
  },
  adopt: {
    seconds: 900,
    mib: 1769,
    environment: ['BUCKET_NAME', 'IMPORT_QUEUE_URL', 'SOURCE_BUCKETS', 'WEBHOOK_QUEUE_URL'],
    rights: [
      'dynamodb:GetItem table',
      'dynamodb:BatchGetItem table',
      'dynamodb:Query table',
      'dynamodb:Query active',
      'dynamodb:Query listing',
      'dynamodb:PutItem table',
      'dynamodb:UpdateItem table',
      's3:GetObject importObjects',
      's3:PutObject importObjects',
      's3:PutObject corrections',
      'sqs:SendMessage queue',
      'sqs:SendMessage imports',
      'sqs:ReceiveMessage imports',
      'sqs:DeleteMessage imports',
      'sqs:GetQueueAttributes imports',
    ],
  },
  providers: {
    seconds: 29,
    mib: 256,
    environment: ['API_SETTINGS', 'BUCKET_NAME', 'SECRETS_KEY_ID', 'CALLER_ROLES'],
    rights: [...KEPT, 'kms:Encrypt key', 's3:GetObject probe', 's3:PutObject probe', ...CALLING_MODELS],
  },
  webhooks: {
    seconds: 29,
    mib: 256,
    environment: ['API_SETTINGS', 'SECRETS_KEY_ID', 'WEBHOOK_QUEUE_URL'],
    rights: [
      ...KEPT,
      'dynamodb:BatchGetItem table',
      'dynamodb:Query listing',
      'kms:Encrypt key',
      'kms:Decrypt key',
      'sqs:SendMessage queue',
    ],
  },
  plan: {
    seconds: 300,
    mib: 1769,
    environment: ['BUCKET_NAME', 'INLINE_BATCHES', 'ITEM_CAP', 'MAX_CONCURRENCY', 'SLOTS_PER_WORKER', 'WORKERS'],
    rights: [
      'dynamodb:GetItem table',
      'dynamodb:BatchGetItem table',
      'dynamodb:PutItem table',
      'dynamodb:Query listing',
      'dynamodb:Query table',
      'dynamodb:Query unlabeled',
      'dynamodb:UpdateItem table',
      's3:GetObject work',
      's3:PutObject work',
    ],
  },
  infer: {
    seconds: 900,
    mib: 1769,
    environment: [
      'BUCKET_NAME',
      'SAGEMAKER_ENDPOINTS',
      'SOURCE_BUCKETS',
      'PATIENCE_SECONDS',
      'BOT_USER',
      'SECRETS_KEY_ID',
      'CALLER_ROLES',
    ],
    rights: [
      'dynamodb:GetItem table',
      'dynamodb:Query table',
      'dynamodb:PutItem table',
      'dynamodb:UpdateItem table',
      's3:GetObject work',
      's3:GetObject items',
      's3:PutObject work',
      ...CALLING_MODELS,
    ],
  },
  finalize: {
    seconds: 120,
    mib: 256,
    environment: ['WEBHOOK_QUEUE_URL'],
    rights: [...KEPT, 'dynamodb:BatchGetItem table', 'sqs:SendMessage queue'],
  },
  settle: {
    seconds: 120,
    mib: 256,
    environment: ['WEBHOOK_QUEUE_URL', 'WEBHOOK_OVERFLOW_QUEUE_URL', 'STATE_MACHINE_ARN', 'STALE_JOB_SECONDS'],
    rights: [
      ...KEPT,
      'dynamodb:BatchGetItem table',
      'dynamodb:Query active',
      'sqs:SendMessage queue',
      'sqs:SendMessage overflow',
      'states:DescribeExecution executions',
      'states:StopExecution executions',
    ],
  },
  deliver: {
    seconds: 60,
    mib: 256,
    environment: [
      'WEBHOOK_QUEUE_URL',
      'WEBHOOK_OVERFLOW_QUEUE_URL',
      'WEBHOOK_SLOTS',
      'DEAD_LETTER_QUEUE_URL',
      'SECRETS_KEY_ID',
      'WEBHOOK_RETRY_SECONDS',
    ],
    rights: [
      'dynamodb:GetItem table',
      'dynamodb:UpdateItem table',
      'sqs:SendMessage overflow',
      'sqs:SendMessage deadLetters',
      ...['queue', 'overflow'].flatMap((queue) =>
        ['ReceiveMessage', 'DeleteMessage', 'GetQueueAttributes'].map((action) => `sqs:${action} ${queue}`),
      ),
      'kms:Decrypt key',
    ],
  },
  ingest: {
    seconds: 60,
    mib: 256,
    environment: [
      'BUCKET_NAME',
      'SOURCE_BUCKETS',
      'STATE_MACHINE_ARN',
      'SAGEMAKER_ENDPOINTS',
      'UPLOAD_QUEUE_URL',
      'UPLOAD_DEAD_LETTER_QUEUE_URL',
      'UPLOAD_WAIT_SECONDS',
    ],
    rights: [
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
  },
};

const deployment = new Deployment();

describe('each function has its environment and its size', () => {
  for (const name of FUNCTIONS) {
    test(name, () => {
      const { seconds, mib, environment } = EXPECTED[name];
      const { Properties } = deployment.resource(deployment.autoLabel.functions[name]);

      assert.deepEqual(Object.keys(Properties.Environment.Variables).sort(), [...COMMON, ...environment].sort());
      assert.deepEqual(
        [Properties.Timeout, Properties.MemorySize, Properties.Runtime, Properties.Handler],
        [seconds, mib, 'provided.al2023', 'bootstrap'],
      );
    });
  }
});

describe('each function may do exactly what it is for', () => {
  for (const name of FUNCTIONS) {
    test(name, () => {
      const { Role, LoggingConfig } = deployment.resource(deployment.autoLabel.functions[name]).Properties;
      const rights = rightsOf(deployment, Role['Fn::GetAtt'][0], LoggingConfig.LogGroup.Ref);

      assert.deepEqual(rights, [...EXPECTED[name].rights, ...OWN_LOG].sort());
    });
  }
});

test('each crate below functions/ has a construct of its name, and each construct has a crate', () => {
  const crates = fs.readdirSync(new URL('../../functions', import.meta.url));
  const files = fs.readdirSync(new URL('../lib/functions', import.meta.url));
  const constructs = files.map((file) => file.replace(/\.ts$/, '')).filter((name) => name !== 'index');

  assert.deepEqual(constructs.sort(), crates.sort());
  assert.deepEqual([...FUNCTIONS].sort(), crates.sort());
});

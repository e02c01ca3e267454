import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { after, describe, test } from 'node:test';
import { CERTIFICATE, Deployment, type Json } from './deployment.ts';

// No one has its key.
const AUTHORITY = `-----BEGIN CERTIFICATE-----
MIIBMDCB2KADAgECAgEHMAoGCCqGSM49BAMCMBcxFTATBgNVBAMMDEEgdGVzdCdz
IG93bjAgFw0yMDAxMDEwMDAwMDBaGA8yMTIwMDEwMTAwMDAwMFowFzEVMBMGA1UE
AwwMQSB0ZXN0J3Mgb3duMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEWJUWqU57
1Va0iSXWrdVX+KglXqzo075UjYvXJdJnllPTchBuLQZpcDYIFeMV5MJgYMYqFDqR
LhVNa6vjKgC31qMTMBEwDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNHADBE
AiAzmo1BvM8Z6TQJxqrLSC7drmPcYPwYiUpv9/utlNqV0QIgaD1N7nM2nqyh+GR6
bya4qmvAp5eYJMNYlAa/TAvTjlE=
-----END CERTIFICATE-----`;

test('settings that are not given have their documented defaults', () => {
  const deployment = new Deployment();

  assert.equal(deployment.environment('plan').ITEM_CAP, '5000');
  assert.equal(deployment.environment('plan').INLINE_BATCHES, '100');
  assert.equal(deployment.environment('plan').WORKERS, '4');
  assert.equal(deployment.environment('plan').SLOTS_PER_WORKER, '64');
  assert.equal(deployment.environment('plan').MAX_CONCURRENCY, '16');
  assert.equal(deployment.environment('infer').BOT_USER, 'autolabel-bot');
  assert.equal(deployment.environment('infer').SAGEMAKER_ENDPOINTS, '{}');
  assert.equal(deployment.environment('infer').SOURCE_BUCKETS, '{}');
  assert.equal(deployment.environment('infer').RUST_LOG, 'info');
  assert.equal(deployment.environment('infer').PATIENCE_SECONDS, '600');
  assert.deepEqual(apiSettings(deployment), {
    public_base_url: '',
    key_cache_seconds: 60,
    limit: { per_minute: 100, per_second: 20 },
    unauthenticated_limit: { per_minute: 30, per_second: 20 },
    cors_origin: '',
    public_description: true,
  });
  assert.equal(deployment.environment('deliver').LOOPBACK_HTTP, 'deny');
  assert.equal(deployment.environment('deliver').EXTRA_ROOTS, '');
  assert.equal(deployment.environment('deliver').WEBHOOK_RETRY_SECONDS, '60,300,900,3600,10800');
  assert.equal(deployment.environment('settle').STALE_JOB_SECONDS, '1800');
  assert.equal(deployment.environment('ingest').UPLOAD_WAIT_SECONDS, '900');
  assert.equal(deployment.environment('exports').EXPORT_DAYS, '7');
  assert.equal(deployment.environment('datasets').UPLOAD_QUOTA_GIB, '1024');
  assert.equal(deployment.environment('deliver').WEBHOOK_SLOTS, '5');
  assert.deepEqual(deployment.resource(deployment.autoLabel.functions.jobs).Properties.Architectures, ['x86_64']);
});

test('endpoints that are no fallback serve jobs that run, and no new ones', () => {
  const sagemakerEndpoints = '{"yolo":"yolo-endpoint"}';
  for (const [endpointFallback, forNewJobs] of [
    ['allow', sagemakerEndpoints],
    ['deny', '{}'],
  ] as const) {
    const deployment = new Deployment({ sagemakerEndpoints, endpointFallback });

    assert.equal(deployment.environment('jobs').SAGEMAKER_ENDPOINTS, forNewJobs);
    assert.equal(deployment.environment('ingest').SAGEMAKER_ENDPOINTS, forNewJobs);
    assert.equal(deployment.environment('infer').SAGEMAKER_ENDPOINTS, sagemakerEndpoints);
  }
});

test('settings given as text, as the command line does, arrive', () => {
  const deployment = new Deployment({
    architecture: 'arm64',
    sagemakerEndpoints: '{"yolo":"yolo-endpoint","sam3":"sam3-endpoint"}',
    sourceBuckets: '{"acmes-pictures":["acme","acme-2"]}',
    itemCap: '200',
    inlineBatches: '0',
    workers: '8',
    slotsPerWorker: '32',
    maxConcurrency: '100',
    patienceSeconds: '20',
    botUser: 'bot@example.com',
    stageName: 'prod',
    keyCacheSeconds: '0',
    requestsPerMinute: '600',
    requestsPerSecond: '50',
    unauthenticatedPerMinute: '5',
    corsOrigin: 'https://labels.example.com:8443',
    publicDescription: 'deny',
    reservedConcurrency: '{"jobs":20,"deliver":"14"}',
    webhookConcurrency: '8',
    overflowConcurrency: '6',
    uploadWaitSeconds: '120',
    exportDays: '30',
    uploadQuotaGib: '5',
    webhookRetrySeconds: '1,2,3',
    loopbackHttp: 'allow',
    settleScheduleMinutes: '1',
    staleJobSeconds: '30',
    logLevel: 'info,deliver=debug',
    logDays: '90',
    stageRequestsPerSecond: '40',
    stageBurst: '80',
  });

  assert.deepEqual(deployment.resource(deployment.autoLabel.functions.jobs).Properties.Architectures, ['arm64']);
  assert.equal(deployment.environment('infer').SAGEMAKER_ENDPOINTS, '{"yolo":"yolo-endpoint","sam3":"sam3-endpoint"}');
  for (const reader of ['catalog', 'infer'] as const) {
    assert.equal(deployment.environment(reader).SOURCE_BUCKETS, '{"acmes-pictures":["acme","acme-2"]}');
  }
  assert.equal(deployment.environment('infer').PATIENCE_SECONDS, '20');
  assert.equal(deployment.environment('infer').BOT_USER, 'bot@example.com');
  assert.equal(deployment.environment('plan').ITEM_CAP, '200');
  assert.equal(deployment.environment('plan').INLINE_BATCHES, '0');
  assert.equal(deployment.environment('plan').WORKERS, '8');
  assert.equal(deployment.environment('plan').SLOTS_PER_WORKER, '32');
  assert.equal(deployment.environment('plan').MAX_CONCURRENCY, '100');
  assert.deepEqual(apiSettings(deployment), {
    public_base_url: '',
    key_cache_seconds: 0,
    limit: { per_minute: 600, per_second: 50 },
    unauthenticated_limit: { per_minute: 5, per_second: 50 },
    cors_origin: 'https://labels.example.com:8443',
    public_description: false,
  });
  assert.equal(deployment.environment('deliver').WEBHOOK_RETRY_SECONDS, '1,2,3');
  assert.equal(deployment.environment('deliver').LOOPBACK_HTTP, 'allow');
  assert.equal(deployment.environment('deliver').RUST_LOG, 'info,deliver=debug');
  assert.equal(deployment.environment('settle').STALE_JOB_SECONDS, '30');
  assert.equal(deployment.environment('ingest').UPLOAD_WAIT_SECONDS, '120');
  assert.equal(deployment.environment('exports').EXPORT_DAYS, '30');
  assert.equal(deployment.environment('datasets').UPLOAD_QUOTA_GIB, '5');
  assert.equal(deployment.environment('deliver').WEBHOOK_SLOTS, '2');
  const reserved = (name: 'jobs' | 'deliver' | 'settle') =>
    deployment.resource(deployment.autoLabel.functions[name]).Properties.ReservedConcurrentExecutions;
  assert.deepEqual([reserved('jobs'), reserved('deliver'), reserved('settle')], [20, 14, undefined]);
  const stage = deployment.only('AWS::ApiGatewayV2::Stage');
  assert.equal(stage.StageName, 'prod');
  assert.deepEqual([stage.DefaultRouteSettings.ThrottlingRateLimit, stage.DefaultRouteSettings.ThrottlingBurstLimit], [40, 80]);
  for (const { Properties } of Object.values(deployment.template.findResources('AWS::Logs::LogGroup'))) {
    assert.equal(Properties.RetentionInDays, 90);
  }
  deployment.template.hasResourceProperties('AWS::Events::Rule', { ScheduleExpression: 'rate(1 minute)' });
  assert.match(JSON.stringify(deployment.template.toJSON().Outputs.ApiUrl.Value), /"\/prod\/api\/v1"/);
});

test('each function that calls models gets the roles of all that do', () => {
  const deployment = new Deployment();
  const roles = (['infer', 'providers'] as const).map(
    (name) => deployment.resource(deployment.autoLabel.functions[name]).Properties.Role,
  );

  for (const name of ['infer', 'providers'] as const) {
    const [separator, parts] = deployment.environment(name).CALLER_ROLES['Fn::Join'];
    assert.deepEqual([separator, parts], ['', ['["', roles[0], '","', roles[1], '"]']]);
  }
});

describe('authorities of a deployment', () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'autolabel-'));
  after(() => fs.rmSync(folder, { recursive: true }));
  const file = (name: string, text: string) => {
    fs.writeFileSync(path.join(folder, name), text);
    return path.join(folder, name);
  };

  test('arrive without the remarks around them', () => {
    const deployment = new Deployment({ extraRoots: file('ca.pem', `# Ours\n${AUTHORITY}\n# and again\n${AUTHORITY}`) });

    for (const name of ['providers', 'webhooks', 'catalog', 'infer', 'deliver'] as const) {
      assert.equal(deployment.environment(name).EXTRA_ROOTS, `${AUTHORITY}\n${AUTHORITY}\n`);
    }
  });

  for (const [name, text] of [
    ['empty', ''],
    ['no certificate', 'nonsense'],
    ['a broken one', AUTHORITY.replace('MII', 'MIX')],
    ['more than an environment takes', `${AUTHORITY}\n`.repeat(6)],
  ] as const) {
    test(`${name}: end the synthesis with a sentence`, () => {
      assert.throws(() => new Deployment({ extraRoots: file(`${name}.pem`, text) }), {
        message: /^Setting extraRoots is .* must hold PEM/,
      });
    });
  }
});

test('a public base URL is what the functions and the output say', () => {
  const deployment = new Deployment({ publicBaseUrl: 'https://labels.example.com/team' });

  assert.equal(apiSettings(deployment).public_base_url, 'https://labels.example.com/team');
  assert.equal(deployment.template.toJSON().Outputs.ApiUrl.Value, 'https://labels.example.com/team/api/v1');
});

test('Mission Control, pages of the API and of the CORS origin may read and upload items by signed URLs', () => {
  const rules = (props: Record<string, unknown>) => {
    const { stack, template, autoLabel } = new Deployment(props);
    const bucket = template.toJSON().Resources[stack.getLogicalId(autoLabel.bucket.node.defaultChild as never)];
    return [bucket.Properties.CorsConfiguration?.CorsRules, stack.resolve(autoLabel.console?.origin)];
  };
  const rule = (...AllowedOrigins: unknown[]) => [
    { AllowedHeaders: ['*'], AllowedMethods: ['GET', 'HEAD', 'PUT'], AllowedOrigins, ExposedHeaders: ['ETag'], MaxAge: 3600 },
  ];
  const settings = { publicBaseUrl: 'https://labels.example.com/team', corsOrigin: 'https://page.example.com' };

  const [all, page] = rules(settings);
  assert.deepEqual(all, rule(page, 'https://labels.example.com', 'https://page.example.com'));
  assert.match(JSON.stringify(page), /^{"Fn::Join":\["",\["https:\/\/",{"Fn::GetAtt":\["\w+Distribution\w+","DomainName"]}]]}$/);
  assert.deepEqual(
    rules({ consoleDomain: 'labels.example.com', consoleCertificateArn: CERTIFICATE })[0],
    rule('https://labels.example.com'),
  );
  assert.deepEqual(rules({ console: 'off' }), [undefined, undefined]);
});

describe('an illegal setting ends the synthesis with a sentence that names it', () => {
  const illegal: [setting: string, value: unknown, sentence: RegExp][] = [
    ['architecture', 'x86', /^Setting architecture must be x86_64 or arm64; it is "x86"\.$/],
    ['sagemakerEndpoints', '{"yolo"', /^Setting sagemakerEndpoints must be a JSON object/],
    ['sagemakerEndpoints', { yolov8: 'endpoint' }, /^Setting sagemakerEndpoints must be/],
    ['sagemakerEndpoints', { yolo: 'no_such name' }, /^Setting sagemakerEndpoints must be/],
    ['sourceBuckets', '["pictures"]', /^Setting sourceBuckets must be a JSON object/],
    ['sourceBuckets', { pictures: 'acme' }, /^Setting sourceBuckets must be/],
    ['sourceBuckets', { pictures: ['Acme Inc'] }, /^Setting sourceBuckets must be/],
    ['sourceBuckets', { 'pictures/*': ['acme'] }, /^Setting sourceBuckets must be/],
    ['itemCap', '0', /^Setting itemCap must be a whole number from 1 to 1000000; it is "0"\.$/],
    ['inlineBatches', 501, /^Setting inlineBatches must be a whole number from 0 to 500; it is 501\.$/],
    ['itemCap', '5e3', /^Setting itemCap must be/],
    ['itemCap', '', /^Setting itemCap must be/],
    ['slotsPerWorker', 0, /^Setting slotsPerWorker must be a whole number from 1 to 1000; it is 0\.$/],
    ['maxConcurrency', 1_001, /^Setting maxConcurrency must be a whole number from 1 to 1000; it is 1001\.$/],
    ['workers', 41, /^Setting workers must be a whole number from 1 to 40; it is 41\.$/],
    ['botUser', 'a b', /^Setting botUser must be/],
    ['stageName', '$prod', /^Setting stageName must be/],
    ['keyCacheSeconds', '-1', /^Setting keyCacheSeconds must be/],
    ['requestsPerMinute', 0, /^Setting requestsPerMinute must be a whole number from 1 to 1000000; it is 0\.$/],
    ['requestsPerSecond', '1.5', /^Setting requestsPerSecond must be/],
    ['unauthenticatedPerMinute', -1, /^Setting unauthenticatedPerMinute must be/],
    ['publicDescription', 'yes', /^Setting publicDescription must be allow or deny; it is "yes"\.$/],
    ['corsOrigin', '*', /^Setting corsOrigin must be empty, or an https origin/],
    ['corsOrigin', 'http://labels.example.com', /^Setting corsOrigin must be/],
    ['corsOrigin', 'https://labels.example.com/', /^Setting corsOrigin must be/],
    ['console', 'yes', /^Setting console must be on or off; it is "yes"\.$/],
    [
      'consoleFiles',
      'no/such',
      /^Setting consoleFiles is "no\/such", but there is no .*index\.html\. `make console` builds the page\.$/,
    ],
    [
      'referenceFiles',
      'no/such',
      /^Setting referenceFiles is "no\/such", but there is no .*such\. `make reference` builds the API reference\.$/,
    ],
    ['consoleDomain', 'https://labels.example.com', /^Setting consoleDomain must be empty, or a domain/],
    ['consoleDomain', 'labels.example.com', /^Settings consoleDomain and consoleCertificateArn must be given together/],
    [
      'consoleCertificateArn',
      CERTIFICATE.replace('us-east-1', 'eu-west-1'),
      /^Setting consoleCertificateArn must be .* us-east-1/,
    ],
    ['consolePriceClass', 'PriceClass_100', /^Setting consolePriceClass must be 100 or 200 or all/],
    ['consoleLogBucket', 'Logs', /^Setting consoleLogBucket must be/],
    ['webAclArn', 'arn:aws:wafv2:eu-west-1:123456789012:regional/webacl/a/b', /^Setting webAclArn must be/],
    ['pictureOrigins', 'https://pictures.example.com/', /^Setting pictureOrigins must be https origins/],
    ['pictureOrigins', ['*'], /^Setting pictureOrigins must be/],
    [
      'pictureOrigins',
      [`https://${'a'.repeat(700)}.example.com`],
      /^Settings sourceBuckets and pictureOrigins must name fewer origins: .* 1783\.$/,
    ],
    ['reservedConcurrency', '{"jobs":0}', /^Setting reservedConcurrency must be a JSON object that gives whole numbers/],
    ['reservedConcurrency', { reports: 5 }, /^Setting reservedConcurrency must be/],
    ['reservedConcurrency', '5', /^Setting reservedConcurrency must be/],
    [
      'reservedConcurrency',
      { deliver: 29 },
      /^Setting reservedConcurrency gives deliver 29, but its queues ask for 30 at once\.$/,
    ],
    ['reservedConcurrency', { ingest: 9 }, /^Setting reservedConcurrency gives ingest 9, but its queues ask for 10 at once\.$/],
    ['webhookConcurrency', 3, /^Setting webhookConcurrency must be a whole number from 4 to 1000; it is 3\.$/],
    ['overflowConcurrency', 1, /^Setting overflowConcurrency must be a whole number from 2 to 1000; it is 1\.$/],
    ['uploadQuotaGib', 0, /^Setting uploadQuotaGib must be a whole number from 1 to 1000000; it is 0\.$/],
    ['exportDays', 0, /^Setting exportDays must be a whole number from 1 to 365; it is 0\.$/],
    ['uploadWaitSeconds', 59, /^Setting uploadWaitSeconds must be a whole number from 60 to 86400; it is 59\.$/],
    ['webhookRetrySeconds', '60,,300', /^Setting webhookRetrySeconds must be/],
    ['webhookRetrySeconds', [], /^Setting webhookRetrySeconds must be/],
    ['publicBaseUrl', 'http://labels.example.com', /^Setting publicBaseUrl must be/],
    ['publicBaseUrl', 'https://labels.example.com/', /^Setting publicBaseUrl must be/],
    ['publicBaseUrl', 'https://labels.example.com/api/v1', /^Setting publicBaseUrl must be/],
    ['publicBaseUrl', 'https://labels.example.com?x=1', /^Setting publicBaseUrl must be/],
    ['loopbackHttp', 'true', /^Setting loopbackHttp must be deny or allow/],
    ['settleScheduleMinutes', 0.5, /^Setting settleScheduleMinutes must be/],
    ['staleJobSeconds', null, /^Setting staleJobSeconds must be/],
    ['patienceSeconds', 0, /^Setting patienceSeconds must be/],
    ['patienceSeconds', 1800, /^Setting patienceSeconds \(1800\) must be below staleJobSeconds \(1800\)\.$/],
    ['alarmTopic', 'on-call', /^Setting alarmTopic must be empty, or the ARN of an SNS topic; it is "on-call"\.$/],
    ['logDays', 31, /^Setting logDays must be one of 1, 3, 5, 7, 14, 30, .*; it is 31\.$/],
    ['stageRequestsPerSecond', 0, /^Setting stageRequestsPerSecond must be/],
    ['stageBurst', 5001, /^Setting stageBurst must be a whole number from 1 to 5000; it is 5001\.$/],
    ['logLevel', 'in fo', /^Setting logLevel must be/],
    ['extraRoots', 7, /^Setting extraRoots must be/],
    ['extraRoots', 'no/such.pem', /^Setting extraRoots is "no\/such\.pem", but there is no .*such\.pem\.$/],
    ['binaries', 'no/such/folder', /^Setting binaries is "no\/such\/folder", but there is no .*bootstrap/],
    ['stateMachineFile', 'no-such.json', /^Setting stateMachineFile is "no-such\.json", but there is no/],
  ];
  for (const [setting, value, sentence] of illegal) {
    test(`${setting}=${JSON.stringify(value)}`, () => {
      assert.throws(() => new Deployment({ [setting]: value }), { message: sentence });
    });
  }
});

function apiSettings(deployment: Deployment): Json {
  return JSON.parse(deployment.environment('jobs').API_SETTINGS);
}

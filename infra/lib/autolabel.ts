/**
 * Autolabel as one construct: every resource, how they are wired, and who may do what.
 *
 * Constructs below `constructs/` hold defaults and grant nothing. All rights are statements in this file, one block per function,
 * each naming exact actions on exact resources: a transaction is checked as its parts, so its parts are what is listed.
 */

import { ArnFormat, Duration, Stack } from 'aws-cdk-lib';
import { HttpMethod } from 'aws-cdk-lib/aws-apigatewayv2';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as events from 'aws-cdk-lib/aws-events';
import * as targets from 'aws-cdk-lib/aws-events-targets';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import { Construct } from 'constructs';
import { X509Certificate } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { acknowledge, acknowledgeWildcard } from './acknowledge.ts';
import { Bucket } from './constructs/bucket.ts';
import { handledBy, HttpApi } from './constructs/http-api.ts';
import { DeadLetterQueue, WorkQueue } from './constructs/queues.ts';
import { RustFunction } from './constructs/rust-function.ts';
import { Table } from './constructs/table.ts';
import { Workflow } from './constructs/workflow.ts';
import { type FunctionName, INGEST_CONCURRENCY, resolveSettings, type Settings } from './settings.ts';

export type { Settings } from './settings.ts';

/** Every setting has a default; see `Settings`. */
export type AutoLabelProps = Partial<Settings>;

/** A Lambda's environment takes 4 KB in all. */
const MOST_ROOTS_CHARS = 2_500;

const PACKAGE_FOLDER = path.join(import.meta.dirname, '..');

// Some calls wait for a receiver or a model, review or discard many drafts, or look into many files; the gateway gives up after
// 30 seconds.
// Neither Plan nor infer needs it for memory. It is what Lambda gives one whole processor for (AWS, "Configure Lambda function
// memory"), and a GPU that waits for a third of one costs more: docs/decisions/0018.
const ONE_PROCESSOR = 1_769;
/** Organizations whose receivers may all hang before they have taken the whole webhook queue. */
const ORGANIZATIONS = 4;
/**
 * Functions that send messages to the queue which invokes them: Lambda would end such a chain after 16 rounds (AWS, "Use Lambda
 * recursive loop detection"). A delivery's last attempts are further away than that, and so are uploads that never pause. Each
 * counts the rounds in its messages and ends them itself.
 */
const RECURSIVE: readonly FunctionName[] = ['deliver', 'ingest'];
const API = { timeoutSeconds: 29, memoryMiB: 256 };
const BACKGROUND = { timeoutSeconds: 120, memoryMiB: 256 };
const DELIVER = { timeoutSeconds: 60, memoryMiB: 256 };
const INGEST = { timeoutSeconds: 60, memoryMiB: 256 };

export class AutoLabel extends Construct {
  readonly api: HttpApi;
  /** Base URL for the clients, ending in `/api/v1`. */
  readonly apiUrl: string;
  readonly table: Table;
  readonly bucket: Bucket;
  readonly webhookQueue: WorkQueue;
  /** Webhook deliveries that are tried again, or are more at once than their organization's part of the webhook queue. */
  readonly webhookOverflow: WorkQueue;
  /** Webhook deliveries that were given up. */
  readonly deadLetters: DeadLetterQueue;
  /** What S3 tells, and what else makes somebody look at uploads. */
  readonly uploadQueue: WorkQueue;
  /** Messages about uploads that nothing could be made of, each with its reason. */
  readonly uploadDeadLetters: DeadLetterQueue;
  /** Ends of executions that settle was never told of. */
  readonly lostEnds: DeadLetterQueue;
  /** Encrypts provider credentials and webhook secrets. */
  readonly secretsKey: kms.Key;
  readonly machine: Workflow;
  readonly functions: Readonly<Record<FunctionName, RustFunction>>;
  /** None has an action: whom to wake is the deployment's choice. */
  readonly alarms: readonly cloudwatch.Alarm[];

  private readonly settings: Settings;

  constructor(scope: Construct, id: string, props: AutoLabelProps = {}) {
    super(scope, id);
    this.settings = resolveSettings(props);

    this.table = new Table(this, 'Table');
    this.bucket = new Bucket(this, 'Bucket');
    this.secretsKey = new kms.Key(this, 'SecretsKey', {
      description: 'Autolabel: provider credentials and webhook secrets',
      enableKeyRotation: true,
    });
    this.deadLetters = new DeadLetterQueue(this, 'DeadLetters');
    this.lostEnds = new DeadLetterQueue(this, 'LostEnds');
    this.webhookQueue = new WorkQueue(this, 'WebhookQueue', {
      consumerTimeoutSeconds: DELIVER.timeoutSeconds,
      deadLetters: this.deadLetters,
    });
    this.webhookOverflow = new WorkQueue(this, 'WebhookOverflow', {
      consumerTimeoutSeconds: DELIVER.timeoutSeconds,
      deadLetters: this.deadLetters,
    });
    this.uploadDeadLetters = new DeadLetterQueue(this, 'UploadDeadLetters');
    this.uploadQueue = new WorkQueue(this, 'UploadQueue', {
      consumerTimeoutSeconds: INGEST.timeoutSeconds,
      deadLetters: this.uploadDeadLetters,
    });
    const steps = this.workflowFunctions();
    this.machine = new Workflow(this, 'Machine', {
      file: this.existing('stateMachineFile', this.settings.stateMachineFile),
      substitutions: {
        PlanArn: steps.plan.functionArn,
        InferArn: steps.infer.functionArn,
        FinalizeArn: steps.finalize.functionArn,
        BucketName: this.bucket.bucketName,
      },
    });
    this.functions = { ...this.apiFunctions(), ...steps, ...this.eventFunctions() };
    this.introduceCallers();
    this.api = new HttpApi(this, 'Api', { stageName: this.settings.stageName });
    this.apiUrl = `${this.settings.publicBaseUrl || this.stageUrl()}/api/v1`;

    this.route();
    this.grant();
    this.subscribe();
    this.subscribeIngest();
    this.alarms = this.watch();
    this.acknowledgeFindings();
  }

  private apiFunctions() {
    const http = { API_SETTINGS: this.apiSettings() };
    const tells = { WEBHOOK_QUEUE_URL: this.webhookQueue.queueUrl };
    return {
      jobs: this.rustFunction('jobs', 'Creates, shows, cancels, retries and undoes jobs', API, {
        ...http,
        STATE_MACHINE_ARN: this.machine.stateMachineArn,
        SAGEMAKER_ENDPOINTS: this.sagemakerEndpoints(),
        ...tells,
      }),
      catalog: this.rustFunction('catalog', 'Projects, items, results; answers unknown paths', API, {
        ...http,
        BUCKET_NAME: this.bucket.bucketName,
        SOURCE_BUCKETS: this.sourceBuckets(),
        ...tells,
      }),
      providers: this.rustFunction('providers', 'Keeps and tests inference providers', API, {
        ...http,
        BUCKET_NAME: this.bucket.bucketName,
        SECRETS_KEY_ID: this.secretsKey.keyId,
      }),
      webhooks: this.rustFunction('webhooks', 'Keeps webhooks and shows their deliveries', API, {
        ...http,
        SECRETS_KEY_ID: this.secretsKey.keyId,
        ...tells,
      }),
    };
  }

  private workflowFunctions() {
    return {
      plan: this.rustFunction(
        'plan',
        'Picks the items of a job and cuts them into batches',
        { timeoutSeconds: 300, memoryMiB: ONE_PROCESSOR },
        {
          BUCKET_NAME: this.bucket.bucketName,
          ITEM_CAP: String(this.settings.itemCap),
          INLINE_BATCHES: String(this.settings.inlineBatches),
          WORKERS: String(this.settings.workers),
          SLOTS_PER_WORKER: String(this.settings.slotsPerWorker),
          MAX_CONCURRENCY: String(this.settings.maxConcurrency),
        },
      ),
      infer: this.rustFunction(
        'infer',
        'Sends one batch to the model and commits its drafts',
        { timeoutSeconds: 900, memoryMiB: ONE_PROCESSOR },
        {
          BUCKET_NAME: this.bucket.bucketName,
          SAGEMAKER_ENDPOINTS: this.sagemakerEndpoints(),
          SOURCE_BUCKETS: this.sourceBuckets(),
          BOT_USER: this.settings.botUser,
          SECRETS_KEY_ID: this.secretsKey.keyId,
        },
      ),
      finalize: this.rustFunction('finalize', 'Settles a job whose batches are done', BACKGROUND, {
        WEBHOOK_QUEUE_URL: this.webhookQueue.queueUrl,
      }),
    };
  }

  private eventFunctions() {
    return {
      settle: this.rustFunction('settle', 'Settles jobs whose execution ended otherwise or got stuck', BACKGROUND, {
        WEBHOOK_QUEUE_URL: this.webhookQueue.queueUrl,
        WEBHOOK_OVERFLOW_QUEUE_URL: this.webhookOverflow.queueUrl,
        STATE_MACHINE_ARN: this.machine.stateMachineArn,
        STALE_JOB_SECONDS: String(this.settings.staleJobSeconds),
      }),
      deliver: this.rustFunction('deliver', 'Signs and sends webhook deliveries', DELIVER, {
        WEBHOOK_QUEUE_URL: this.webhookQueue.queueUrl,
        WEBHOOK_OVERFLOW_QUEUE_URL: this.webhookOverflow.queueUrl,
        WEBHOOK_SLOTS: String(Math.floor(this.settings.webhookConcurrency / ORGANIZATIONS)),
        DEAD_LETTER_QUEUE_URL: this.deadLetters.queueUrl,
        SECRETS_KEY_ID: this.secretsKey.keyId,
        WEBHOOK_RETRY_SECONDS: this.settings.webhookRetrySeconds.join(','),
      }),
      ingest: this.rustFunction('ingest', 'Makes items of uploads, and starts jobs for them', INGEST, {
        BUCKET_NAME: this.bucket.bucketName,
        SOURCE_BUCKETS: this.sourceBuckets(),
        STATE_MACHINE_ARN: this.machine.stateMachineArn,
        SAGEMAKER_ENDPOINTS: this.sagemakerEndpoints(),
        UPLOAD_QUEUE_URL: this.uploadQueue.queueUrl,
        UPLOAD_DEAD_LETTER_QUEUE_URL: this.uploadDeadLetters.queueUrl,
        UPLOAD_WAIT_SECONDS: String(this.settings.uploadWaitSeconds),
      }),
    };
  }

  private rustFunction(
    name: FunctionName,
    does: string,
    size: { readonly timeoutSeconds: number; readonly memoryMiB: number },
    environment: Record<string, string>,
  ): RustFunction {
    return new RustFunction(this, name, {
      description: `Autolabel: ${does}`,
      reservedConcurrency: this.settings.reservedConcurrency[name],
      isRecursive: RECURSIVE.includes(name),
      binary: path.dirname(this.existing('binaries', path.join(this.settings.binaries, name, 'bootstrap'))),
      architecture: this.settings.architecture,
      ...size,
      environment: {
        TABLE_NAME: this.table.tableName,
        RUST_LOG: this.settings.logLevel,
        LOOPBACK_HTTP: this.settings.loopbackHttp,
        EXTRA_ROOTS: this.extraRoots(),
        ...environment,
      },
    });
  }

  /** Who calls models must be able to say as which role, to whom a tenant's role is to trust. */
  private introduceCallers(): void {
    const callers = [this.functions.infer, this.functions.providers];
    const roles = Stack.of(this).toJsonString(callers.map(({ role }) => role!.roleArn));
    for (const caller of callers) caller.addEnvironment('CALLER_ROLES', roles);
  }

  /** The certificates themselves, without what people write around them. */
  private extraRoots(): string {
    if (this.settings.extraRoots === '') return '';
    const file = this.existing('extraRoots', this.settings.extraRoots);
    const certificates = fs.readFileSync(file, 'utf8').match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
    const roots = certificates.map((certificate) => `${certificate}\n`).join('');
    if (!certificates.every(isAuthority) || roots === '' || roots.length > MOST_ROOTS_CHARS) {
      throw new Error(
        `Setting extraRoots is ${JSON.stringify(this.settings.extraRoots)}, which must hold PEM certificates of authorities, of ${MOST_ROOTS_CHARS} characters at most.`,
      );
    }
    return roots;
  }

  /** `file` as an absolute path; a file that is not there is a wrong setting, said before the CDK trips over it. */
  private existing(setting: 'binaries' | 'stateMachineFile' | 'extraRoots', file: string): string {
    const found = path.resolve(PACKAGE_FOLDER, file);
    if (!fs.existsSync(found)) {
      throw new Error(
        `Setting ${setting} is ${JSON.stringify(this.settings[setting])}, but there is no ${found}.` +
          (setting === 'binaries' ? ' `make build` builds the binaries.' : ''),
      );
    }
    return found;
  }

  /** What the frame of every API function reads: `Settings` in `shared/src/http`. */
  private apiSettings(): string {
    const { requestsPerMinute, requestsPerSecond, unauthenticatedPerMinute } = this.settings;
    return JSON.stringify({
      public_base_url: this.settings.publicBaseUrl,
      key_cache_seconds: this.settings.keyCacheSeconds,
      limit: { per_minute: requestsPerMinute, per_second: requestsPerSecond },
      unauthenticated_limit: { per_minute: unauthenticatedPerMinute, per_second: requestsPerSecond },
      cors_origin: this.settings.corsOrigin,
    });
  }

  private sagemakerEndpoints(): string {
    return JSON.stringify(this.settings.sagemakerEndpoints);
  }

  private sourceBuckets(): string {
    return JSON.stringify(this.settings.sourceBuckets);
  }

  /** Without a slash at the end. */
  private stageUrl(): string {
    const { stageName } = this.settings;
    return stageName === '$default' ? this.api.apiEndpoint : `${this.api.apiEndpoint}/${stageName}`;
  }

  /** No authorizer: it could not refuse in the contract's form. Authentication is the first layer of each function. */
  private route(): void {
    const jobs = handledBy(this.functions.jobs);
    const providers = handledBy(this.functions.providers);
    const webhooks = handledBy(this.functions.webhooks);
    const routes = [
      ...this.api.route(HttpMethod.POST, '/api/v1/projects/{project}/auto-label', jobs),
      ...this.api.route(HttpMethod.ANY, '/api/v1/auto-label-jobs', jobs),
      ...this.api.route(HttpMethod.ANY, '/api/v1/inference-providers', providers),
      ...this.api.route(HttpMethod.ANY, '/api/v1/webhooks', webhooks),
      ...this.api.route(HttpMethod.ANY, '/api/v1/webhook-deliveries', webhooks),
      this.api.routeRest(handledBy(this.functions.catalog)),
    ];
    for (const route of routes) {
      acknowledge(route, 'APIG4', 'The function authenticates: an authorizer cannot refuse with 401 and a `detail` body.');
    }
  }

  private grant(): void {
    const { jobs, catalog, providers, webhooks, plan, infer, finalize, settle, deliver, ingest } = this.functions;
    const table = this.table.tableArn;
    const listing = this.table.indexArn('listing');
    const items = this.bucket.arnForObjects('projects/*');
    const work = this.bucket.arnForObjects('jobs/*');
    const machine = this.machine.stateMachineArn;
    const key = this.secretsKey.keyArn;

    jobs.allow(['dynamodb:GetItem', 'dynamodb:BatchGetItem', 'dynamodb:Query'], table);
    jobs.allow(['dynamodb:PutItem', 'dynamodb:UpdateItem', 'dynamodb:DeleteItem'], table);
    jobs.allow(['dynamodb:Query'], listing);
    jobs.allow(['states:StartExecution'], machine);
    jobs.allow(['states:StopExecution'], this.executionsArn());

    catalog.allow(
      ['dynamodb:GetItem', 'dynamodb:BatchGetItem', 'dynamodb:Query', 'dynamodb:PutItem', 'dynamodb:UpdateItem'],
      table,
    );
    catalog.allow(['dynamodb:Query'], listing);
    // A signed URL can do what its signer may: uploads and downloads of items, nothing else.
    catalog.allow(['s3:GetObject', 's3:PutObject'], items);
    catalog.allow(['s3:GetObject'], this.bucket.arnForObjects('jobs/*/drafts/*'));

    providers.allow(['dynamodb:GetItem', 'dynamodb:Query'], table);
    providers.allow(['dynamodb:PutItem', 'dynamodb:UpdateItem', 'dynamodb:DeleteItem'], table);
    providers.allow(['kms:Encrypt'], key);
    // The picture that a test shows to a model.
    providers.allow(['s3:GetObject', 's3:PutObject'], this.bucket.arnForObjects('probes/picture.jpg'));

    webhooks.allow(['dynamodb:GetItem', 'dynamodb:BatchGetItem', 'dynamodb:Query'], table);
    webhooks.allow(['dynamodb:PutItem', 'dynamodb:UpdateItem', 'dynamodb:DeleteItem'], table);
    webhooks.allow(['dynamodb:Query'], listing);
    webhooks.allow(['kms:Encrypt', 'kms:Decrypt'], key);

    plan.allow(['dynamodb:GetItem', 'dynamodb:BatchGetItem', 'dynamodb:Query', 'dynamodb:PutItem', 'dynamodb:UpdateItem'], table);
    plan.allow(['dynamodb:Query'], this.table.indexArn('unlabeled'));
    // The manifest of the job that one retries.
    plan.allow(['s3:GetObject', 's3:PutObject'], work);

    infer.allow(['dynamodb:GetItem', 'dynamodb:Query', 'dynamodb:PutItem', 'dynamodb:UpdateItem'], table);
    infer.allow(['s3:GetObject'], work, items);
    infer.allow(['s3:PutObject'], work);

    // A test calls a model as a job does.
    for (const caller of [providers, infer]) {
      caller.allow(['kms:Decrypt'], key);
      caller.allow(['sagemaker:InvokeEndpoint'], ...this.endpointsArns());
      caller.allow(['sts:AssumeRole'], this.rolesArn());
    }

    // What they change is told: by a row beside it, and by a message that says so.
    for (const teller of [jobs, catalog, webhooks, finalize, settle]) {
      teller.allow(['sqs:SendMessage'], this.webhookQueue.queueArn);
    }
    for (const settler of [finalize, settle]) {
      settler.allow(
        ['dynamodb:GetItem', 'dynamodb:Query', 'dynamodb:PutItem', 'dynamodb:UpdateItem', 'dynamodb:DeleteItem'],
        table,
      );
    }
    settle.allow(['dynamodb:Query'], this.table.indexArn('active'));
    settle.allow(['states:DescribeExecution', 'states:StopExecution'], this.executionsArn());

    deliver.allow(['dynamodb:GetItem', 'dynamodb:UpdateItem'], table);
    settle.allow(['sqs:SendMessage'], this.webhookOverflow.queueArn);
    deliver.allow(['sqs:SendMessage'], this.webhookOverflow.queueArn, this.deadLetters.queueArn);
    // Lambda reads the queues in the function's name.
    const webhookQueues = [this.webhookQueue.queueArn, this.webhookOverflow.queueArn];
    deliver.allow(['sqs:ReceiveMessage', 'sqs:DeleteMessage', 'sqs:GetQueueAttributes'], ...webhookQueues);
    deliver.allow(['kms:Decrypt'], key);

    // A job that was created and could not be started is cancelled, which frees its project: a DeleteItem.
    ingest.allow(['dynamodb:GetItem', 'dynamodb:BatchGetItem', 'dynamodb:Query'], table);
    ingest.allow(['dynamodb:PutItem', 'dynamodb:UpdateItem', 'dynamodb:DeleteItem'], table);
    ingest.allow(['dynamodb:Query'], this.table.indexArn('active'), this.table.indexArn('unlabeled'));
    ingest.allow(['s3:GetObject'], items);
    this.allowListing(this.bucket.bucketArn);
    ingest.allow(['states:StartExecution'], machine);
    ingest.allow(['sqs:SendMessage'], this.uploadQueue.queueArn, this.uploadDeadLetters.queueArn);
    ingest.allow(['sqs:ReceiveMessage', 'sqs:DeleteMessage', 'sqs:GetQueueAttributes'], this.uploadQueue.queueArn);

    // Exactly the buckets of the setting. Which tenant may name which, the functions see to: one role serves them all.
    const sources = this.sourceObjects();
    if (sources.length > 0) {
      for (const reader of [catalog, infer, ingest]) reader.allow(['s3:GetObject'], ...sources);
      this.allowListing(...sources.map((objects) => objects.replace(/\/\*$/, '')));
    }

    // A definition read from a file grants nothing by itself.
    this.machine.addToRolePolicy(
      new iam.PolicyStatement({
        actions: ['lambda:InvokeFunction'],
        resources: [plan.functionArn, infer.functionArn, finalize.functionArn],
      }),
    );
    this.machine.addToRolePolicy(new iam.PolicyStatement({ actions: ['s3:GetObject'], resources: [this.listsArn()] }));
    // A Distributed Map starts executions of its own machine. In the role's default policy, which the machine waits for, that
    // is a cycle. No right to redrive: a job whose execution has ended is settled.
    const mapRuns = new iam.Policy(this, 'MapRuns', {
      roles: [this.machine.role],
      statements: [
        new iam.PolicyStatement({ actions: ['states:StartExecution'], resources: [machine] }),
        new iam.PolicyStatement({
          actions: ['states:DescribeExecution', 'states:StopExecution'],
          resources: [this.executionsArn(), this.batchesArn()],
        }),
      ],
    });
    for (const executions of [this.executionsArn(), this.batchesArn()]) {
      acknowledgeWildcard(mapRuns, executions, 'Step Functions names the executions of batches; all are of this machine.');
    }
  }

  /** The lists of batches that a Distributed Map reads. */
  private listsArn(): string {
    return this.bucket.arnForObjects('jobs/*/batches.json');
  }

  /**
   * What cannot be read may be gone or forbidden: S3 answers 403 of both to whoever may not list the bucket. A `GetObject` has
   * no prefix, so this right does not make it a 404: `ingest` looks into the list.
   */
  private allowListing(...buckets: string[]): void {
    const conditions = { StringLike: { 's3:prefix': 'projects/*' } };
    this.functions.ingest.addToRolePolicy(
      new iam.PolicyStatement({ actions: ['s3:ListBucket'], resources: buckets, conditions }),
    );
  }

  private sourceObjects(): string[] {
    const inS3 = { service: 's3', region: '', account: '', resourceName: '*' };
    return Object.keys(this.settings.sourceBuckets).map((resource) => Stack.of(this).formatArn({ ...inS3, resource }));
  }

  /** Of jobs. */
  private executionsArn(): string {
    return this.executionArn(`${this.machine.stateMachineName}:*`);
  }

  /** Of single batches, as a Distributed Map starts them: its label stands in their names. */
  private batchesArn(): string {
    return this.executionArn(`${this.machine.stateMachineName}/Batches:*`);
  }

  private executionArn(resourceName: string): string {
    return Stack.of(this).formatArn({
      service: 'states',
      resource: 'execution',
      resourceName,
      arnFormat: ArnFormat.COLON_RESOURCE_NAME,
    });
  }

  /** Of this account, in any region, since a provider names its own. An inference component is a resource beside its endpoint. */
  private endpointsArns(): string[] {
    const everywhere = { service: 'sagemaker', region: '*', resourceName: '*' };
    return ['endpoint', 'inference-component'].map((resource) => Stack.of(this).formatArn({ ...everywhere, resource }));
  }

  /** Of any account: a provider's role is its tenant's. */
  private rolesArn(): string {
    return Stack.of(this).formatArn({ service: 'iam', region: '', account: '*', resource: 'role', resourceName: '*' });
  }

  private subscribe(): void {
    const { settle, deliver } = this.functions;
    const { webhookConcurrency, overflowConcurrency } = this.settings;
    for (const [id, queue, maxConcurrency] of [
      ['WebhookRecords', this.webhookQueue, webhookConcurrency],
      ['OverflowRecords', this.webhookOverflow, overflowConcurrency],
    ] as const) {
      new lambda.EventSourceMapping(this, id, {
        target: deliver,
        eventSourceArn: queue.queueArn,
        batchSize: 10,
        // Receivers that hang take what is theirs, and not the account's concurrency.
        maxConcurrency,
        reportBatchItemFailures: true,
      });
    }
    // SUCCEEDED is not among them: then Finalize has settled the job.
    new events.Rule(this, 'ExecutionEnded', {
      description: 'Autolabel: an execution ended without finalize',
      eventPattern: {
        source: ['aws.states'],
        detailType: ['Step Functions Execution Status Change'],
        detail: { stateMachineArn: [this.machine.stateMachineArn], status: ['FAILED', 'TIMED_OUT', 'ABORTED'] },
      },
      targets: [new targets.LambdaFunction(settle, { deadLetterQueue: this.lostEnds })],
    });
    new events.Rule(this, 'SettleSchedule', {
      description: 'Autolabel: looks for jobs that got stuck and for events that were not told',
      schedule: events.Schedule.rate(Duration.minutes(this.settings.settleScheduleMinutes)),
      // No dead-letter queue: a round that was missed is made up for by the next.
      targets: [new targets.LambdaFunction(settle)],
    });
  }

  /** All that makes `ingest` work comes by its queue: so nothing is lost while it cannot, and what fails is found in one place. */
  private subscribeIngest(): void {
    new lambda.EventSourceMapping(this, 'UploadRecords', {
      target: this.functions.ingest,
      eventSourceArn: this.uploadQueue.queueArn,
      // Uploads come in bursts, and what lands in one project is counted by one call for all of a batch.
      batchSize: 100,
      maxBatchingWindow: Duration.seconds(1),
      // A burst is worked off, not let loose on the table.
      maxConcurrency: INGEST_CONCURRENCY,
      reportBatchItemFailures: true,
    });
    const queue = () => new targets.SqsQueue(this.uploadQueue, { deadLetterQueue: this.uploadDeadLetters });
    new events.Rule(this, 'Uploads', {
      description: 'Autolabel: an object was written or deleted',
      eventPattern: {
        source: ['aws.s3'],
        detailType: ['Object Created', 'Object Deleted'],
        detail: {
          bucket: { name: [this.bucket.bucketName, ...Object.keys(this.settings.sourceBuckets)] },
          object: { key: [{ prefix: 'projects/' }] },
        },
      },
      targets: [queue()],
    });
    new events.Rule(this, 'ProjectFreed', {
      description: 'Autolabel: an execution ended, and uploads may have waited for it',
      eventPattern: {
        source: ['aws.states'],
        detailType: ['Step Functions Execution Status Change'],
        detail: {
          stateMachineArn: [this.machine.stateMachineArn],
          status: ['SUCCEEDED', 'FAILED', 'TIMED_OUT', 'ABORTED'],
        },
      },
      targets: [queue()],
    });
    new events.Rule(this, 'UploadSchedule', {
      description: 'Autolabel: looks at uploads that wait',
      schedule: events.Schedule.rate(Duration.minutes(this.settings.settleScheduleMinutes)),
      targets: [queue()],
    });
  }

  private watch(): cloudwatch.Alarm[] {
    const { infer, finalize, settle, ingest } = this.functions;
    const sum = { period: Duration.minutes(5), statistic: 'Sum' };
    return [
      this.alarm(
        'DeadLettersAlarm',
        'webhook deliveries were given up',
        this.deadLetters.metricApproximateNumberOfMessagesVisible(),
      ),
      this.alarm(
        'LostEndsAlarm',
        'settle was not told of an ended execution',
        this.lostEnds.metricApproximateNumberOfMessagesVisible(),
      ),
      this.alarm(
        'UploadDeadLettersAlarm',
        'nothing could be made of messages about uploads',
        this.uploadDeadLetters.metricApproximateNumberOfMessagesVisible(),
      ),
      this.alarm('IngestErrorsAlarm', 'ingest fails', ingest.metricErrors(sum)),
      this.alarm('InferErrorsAlarm', 'infer fails', infer.metricErrors(sum)),
      this.alarm('FinalizeErrorsAlarm', 'finalize fails', finalize.metricErrors(sum)),
      this.alarm('SettleErrorsAlarm', 'settle fails', settle.metricErrors(sum)),
      ...Object.entries(this.functions).map(([name, fn]) =>
        this.alarm(`${name}ThrottlesAlarm`, `${name} found no concurrency`, fn.metricThrottles(sum)),
      ),
      this.alarm('ExecutionsFailedAlarm', 'an execution failed', this.machine.metricFailed(sum)),
      this.alarm('ExecutionsTimedOutAlarm', 'an execution ran out of time', this.machine.metricTimedOut(sum)),
    ];
  }

  private alarm(id: string, says: string, metric: cloudwatch.Metric): cloudwatch.Alarm {
    return new cloudwatch.Alarm(this, id, {
      alarmDescription: `Autolabel: ${says}`,
      metric,
      threshold: 1,
      evaluationPeriods: 1,
      comparisonOperator: cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
      treatMissingData: cloudwatch.TreatMissingData.NOT_BREACHING,
    });
  }

  /** What `cdk-nag` finds and we accept. A finding that is not named here ends the synthesis. */
  private acknowledgeFindings(): void {
    const { jobs, catalog, providers, plan, infer, settle, ingest } = this.functions;
    const items = this.bucket.arnForObjects('projects/*');
    const work = this.bucket.arnForObjects('jobs/*');

    acknowledgeWildcard(catalog.role!, items, 'Items are one object each, under keys made at run time.');
    const drafts = this.bucket.arnForObjects('jobs/*/drafts/*');
    acknowledgeWildcard(catalog.role!, drafts, 'Annotations that are too large for the table lie under the uid of their job.');
    acknowledgeWildcard(ingest.role!, items, 'Items are one object each, under keys made at run time.');
    acknowledgeWildcard(infer.role!, items, 'Items are one object each, under keys made at run time.');
    acknowledgeWildcard(infer.role!, work, 'Manifests and raw predictions lie under the uid of their job.');
    for (const source of this.sourceObjects()) {
      for (const { role } of [catalog, infer, ingest]) {
        acknowledgeWildcard(role!, source, 'The deployment opens the bucket to tenants, who name its objects at run time.');
      }
    }
    acknowledgeWildcard(plan.role!, work, 'Manifests lie under the uid of their job.');
    for (const { role } of [providers, infer]) {
      for (const endpoints of this.endpointsArns()) {
        acknowledgeWildcard(role!, endpoints, 'Providers name their SageMaker endpoint at run time.');
      }
      acknowledgeWildcard(role!, this.rolesArn(), "Providers name their role at run time; the role's trust policy decides.");
    }
    acknowledgeWildcard(jobs.role!, this.executionsArn(), 'An execution is named by its job; all are of this machine.');
    acknowledgeWildcard(settle.role!, this.executionsArn(), 'An execution is named by its job; all are of this machine.');
    acknowledgeWildcard(this.machine.role, this.listsArn(), 'A list of batches lies under the uid of its job.');
    acknowledgeWildcard(this.machine.role, '*', 'Log delivery and X-Ray have no resource to name; Lambda functions are named.');
    acknowledge(this.machine, 'SF1', 'Failures are enough here: the functions log their work, and each event more is paid for.');
    acknowledge(this.lostEnds, 'SQS3', 'It is a dead-letter queue, of a rule: the check knows only those of queues.');
    acknowledge(
      this.bucket,
      'S1',
      'Only these functions and the URLs that they sign reach it; an access log would keep those URLs.',
    );
  }
}

function isAuthority(pem: string): boolean {
  try {
    return new X509Certificate(pem).ca;
  } catch {
    return false;
  }
}

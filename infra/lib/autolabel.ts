/**
 * Autolabel as one construct: the resources that its functions share, and the functions.
 *
 * Each function is a construct below `functions/`, with its environment, its triggers, its rights and its alarms. A right names
 * exact actions on exact resources: a transaction is checked as its parts, so its parts are what is listed.
 */

import { Duration } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as sns from 'aws-cdk-lib/aws-sns';
import { Construct } from 'constructs';
import { Bucket, bucketNameOf, bucketOrigin } from './constructs/bucket.ts';
import { Console } from './constructs/console.ts';
import { Dashboard } from './constructs/dashboard.ts';
import { HttpApi } from './constructs/http-api.ts';
import { LogMetrics } from './constructs/log-metrics.ts';
import { ModelCallers } from './constructs/model-callers.ts';
import { DeadLetterQueue, IMPORT_TIMEOUT_SECONDS, WorkQueue } from './constructs/queues.ts';
import type { RustFunction } from './constructs/rust-function.ts';
import { SourceBuckets } from './constructs/source-buckets.ts';
import { Table } from './constructs/table.ts';
import { Workflow } from './constructs/workflow.ts';
import { existing } from './files.ts';
import * as functions from './functions/index.ts';
import { type FunctionName, pageOriginsOf, resolveSettings, type Settings } from './settings.ts';

export type { Settings } from './settings.ts';

/** Every setting has a default; see `Settings`. */
export type AutoLabelProps = Partial<Settings>;

export class AutoLabel extends Construct {
  readonly settings: Settings;
  readonly table: Table;
  readonly bucket: Bucket;
  readonly sourceBuckets: SourceBuckets;
  /** Encrypts provider credentials and webhook secrets. */
  readonly secretsKey: kms.Key;
  readonly modelCallers: ModelCallers;
  readonly webhookQueue: WorkQueue;
  /** Webhook deliveries that are tried again, or exceed their organization's part of the webhook queue. */
  readonly webhookOverflow: WorkQueue;
  /** Webhook deliveries whose attempts have all failed. */
  readonly deadLetters: DeadLetterQueue;
  /** Events of S3, ends of executions, and checks of uploads. */
  readonly uploadQueue: WorkQueue;
  /** Messages about uploads that could not be worked through, each with its reason. */
  readonly uploadDeadLetters: DeadLetterQueue;
  /** A message for each step of an export. */
  readonly exportQueue: WorkQueue;
  /** Messages about exports that could not be worked through. */
  readonly exportDeadLetters: DeadLetterQueue;
  /** Events of uploaded files of imports, and a message for each import that goes on. */
  readonly importQueue: WorkQueue;
  /** Messages about imports that could not be worked through. */
  readonly importDeadLetters: DeadLetterQueue;
  /** Ends of executions of which EventBridge could not notify settle. */
  readonly lostEnds: DeadLetterQueue;
  readonly machine: Workflow;
  readonly api: HttpApi;
  /** Mission Control; not there if the setting `console` is `off`. */
  readonly console: Console | undefined;
  /** Base URL for the clients, ending in `/api/v1`. */
  readonly apiUrl: string;
  readonly functions: Readonly<Record<FunctionName, RustFunction>>;
  /** Metrics of the functions' logs. */
  readonly logMetrics: LogMetrics;
  /** The setting `alarmTopic` gives each its actions. */
  readonly alarms: readonly cloudwatch.Alarm[];
  readonly dashboard: Dashboard;

  constructor(scope: Construct, id: string, props: AutoLabelProps = {}) {
    super(scope, id);
    this.settings = resolveSettings(props);

    this.table = new Table(this, 'Table');
    this.logMetrics = new LogMetrics(this);
    this.api = new HttpApi(this, 'Api', this.settings);
    this.apiUrl = `${this.settings.publicBaseUrl || this.api.stageUrl}/api/v1`;
    const bucketName = bucketNameOf(this);
    this.console = this.createConsole(bucketName);
    const pageOrigins = pageOriginsOf(this.settings, this.console?.origin);
    this.bucket = new Bucket(this, 'Bucket', { bucketName, pageOrigins, exportDays: this.settings.exportDays });
    this.sourceBuckets = new SourceBuckets(this, this.settings.sourceBuckets);
    this.secretsKey = new kms.Key(this, 'SecretsKey', {
      description: 'Autolabel: provider credentials and webhook secrets',
      enableKeyRotation: true,
    });
    this.modelCallers = new ModelCallers(this);
    this.deadLetters = new DeadLetterQueue(this, 'DeadLetters');
    this.webhookQueue = new WorkQueue(this, 'WebhookQueue', this.deadLetters);
    this.webhookOverflow = new WorkQueue(this, 'WebhookOverflow', this.deadLetters);
    this.uploadDeadLetters = new DeadLetterQueue(this, 'UploadDeadLetters', 'messages about uploads could not be worked through');
    this.uploadQueue = new WorkQueue(this, 'UploadQueue', this.uploadDeadLetters);
    this.exportDeadLetters = new DeadLetterQueue(this, 'ExportDeadLetters', 'messages about exports could not be worked through');
    this.exportQueue = new WorkQueue(this, 'ExportQueue', this.exportDeadLetters);
    this.importDeadLetters = new DeadLetterQueue(this, 'ImportDeadLetters', 'messages about imports could not be worked through');
    this.importQueue = new WorkQueue(this, 'ImportQueue', this.importDeadLetters, IMPORT_TIMEOUT_SECONDS);
    this.lostEnds = new DeadLetterQueue(this, 'LostEnds', 'settle was not notified of an ended execution');
    const file = existing(this.settings, 'stateMachineFile');
    this.machine = new Workflow(this, 'Machine', { file, bucket: this.bucket, logDays: this.settings.logDays });

    this.functions = this.createFunctions();
    // A check of uploads is delayed by a quarter of an hour at most; steps of exports take turns.
    this.webhookQueue.alarmOnAge(Duration.minutes(15));
    this.uploadQueue.alarmOnAge(Duration.minutes(30));
    this.exportQueue.alarmOnAge(Duration.minutes(30));
    // A worker of an import may run for a quarter of an hour.
    this.importQueue.alarmOnAge(Duration.hours(1));
    this.alarms = this.node.findAll().filter((construct) => construct instanceof cloudwatch.Alarm);
    this.notifyOfAlarms();
    this.dashboard = new Dashboard(this);
  }

  private notifyOfAlarms(): void {
    if (this.settings.alarmTopic === '') return;
    const action = new SnsAction(sns.Topic.fromTopicArn(this, 'AlarmTopic', this.settings.alarmTopic));
    for (const alarm of this.alarms) {
      alarm.addAlarmAction(action);
      alarm.addOkAction(action);
    }
  }

  private createConsole(bucketName: string): Console | undefined {
    const { settings, api } = this;
    if (settings.console === 'off') return undefined;
    const buckets = [bucketName, ...Object.keys(settings.sourceBuckets)].map((name) => bucketOrigin(this, name));
    return new Console(this, 'Console', { settings, api, pictures: [...buckets, ...settings.pictureOrigins] });
  }

  private createFunctions(): Record<FunctionName, RustFunction> {
    const created = Object.entries(functions).map(([name, Function]) => [name, new Function(this)] as const);
    return Object.fromEntries(created) as Record<FunctionName, RustFunction>;
  }
}

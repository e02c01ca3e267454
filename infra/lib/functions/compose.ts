import { Duration } from 'aws-cdk-lib';
import * as events from 'aws-cdk-lib/aws-events';
import * as targets from 'aws-cdk-lib/aws-events-targets';
import type { AutoLabel } from '../autolabel.ts';
import { CONSUMER_TIMEOUT_SECONDS } from '../constructs/queues.ts';
import { ONE_PROCESSOR_MIB, RustFunction } from '../constructs/rust-function.ts';

/** Exports that are written at once. The queue is fair: a tenant with many of them does not keep the others waiting. */
const MAX_CONCURRENCY = 5;

export class Compose extends RustFunction {
  constructor(app: AutoLabel) {
    super(app, 'compose', {
      description: 'Writes the files of exports',
      timeoutSeconds: CONSUMER_TIMEOUT_SECONDS,
      memoryMiB: ONE_PROCESSOR_MIB,
      // An export of a million items has more than 16 steps. Each begins behind the last one, so the chain ends.
      isRecursive: true,
      queueConcurrency: MAX_CONCURRENCY,
      environment: { BUCKET_NAME: app.bucket.bucketName },
    });
    this.allow(['dynamodb:GetItem', 'dynamodb:BatchGetItem', 'dynamodb:Query'], app.table.tableArn);
    this.allow(['dynamodb:PutItem', 'dynamodb:UpdateItem', 'dynamodb:DeleteItem'], app.table.tableArn);
    this.allow(['dynamodb:Query'], app.table.indexArn('active'), app.table.indexArn('listing'));
    this.allow(['s3:GetObject', 's3:PutObject', 's3:DeleteObject'], app.bucket.exports);
    this.allow(['s3:GetObject'], app.bucket.drafts);
    // Pictures that are copied into a data set.
    this.allow(['s3:GetObject'], app.bucket.items);
    app.sourceBuckets.allowReading(this);
    this.allow(['s3:GetObject'], app.bucket.corrections);
    app.bucket.allowListing(this, 'exports/*');
    this.allowSending(app.exportQueue, 'EXPORT_QUEUE_URL');
    this.allowSending(app.webhookQueue, 'WEBHOOK_QUEUE_URL');

    this.alarmOnErrors('ComposeErrorsAlarm');
    this.consume('ExportRecords', app.exportQueue, { batchSize: 1, maxConcurrency: MAX_CONCURRENCY });
    new events.Rule(app, 'ExportSchedule', {
      description: 'Autolabel: finds exports whose message was lost, and removes what is left of deleted ones',
      schedule: events.Schedule.rate(Duration.minutes(app.settings.settleScheduleMinutes)),
      targets: [new targets.SqsQueue(app.exportQueue, { deadLetterQueue: app.exportDeadLetters })],
    });
  }
}

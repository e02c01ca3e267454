import { Duration } from 'aws-cdk-lib';
import * as events from 'aws-cdk-lib/aws-events';
import * as targets from 'aws-cdk-lib/aws-events-targets';
import type { AutoLabel } from '../autolabel.ts';
import { IMPORT_TIMEOUT_SECONDS } from '../constructs/queues.ts';
import { ONE_PROCESSOR_MIB, RustFunction } from '../constructs/rust-function.ts';

/** Imports that are worked on at once. The queue is fair: a tenant with many of them does not keep the others waiting. */
const MAX_CONCURRENCY = 5;

export class Adopt extends RustFunction {
  constructor(app: AutoLabel) {
    super(app, 'adopt', {
      description: 'Makes results of imported labels',
      timeoutSeconds: IMPORT_TIMEOUT_SECONDS,
      memoryMiB: ONE_PROCESSOR_MIB,
      // The longest file, and its records beside it.
      diskGiB: 10,
      // An import of millions of items has more than 16 workers. Each begins behind the last one, so the chain ends.
      isRecursive: true,
      queueConcurrency: MAX_CONCURRENCY,
      environment: { BUCKET_NAME: app.bucket.bucketName },
    });
    this.allow(['dynamodb:GetItem', 'dynamodb:BatchGetItem', 'dynamodb:Query'], app.table.tableArn);
    this.allow(['dynamodb:PutItem', 'dynamodb:UpdateItem'], app.table.tableArn);
    this.allow(['dynamodb:Query'], app.table.indexArn('active'), app.table.indexArn('listing'));
    this.allow(['s3:GetObject', 's3:PutObject'], app.bucket.imports);
    this.allow(['s3:PutObject'], app.bucket.corrections);
    app.sourceBuckets.allowReading(this);
    this.allowSending(app.importQueue, 'IMPORT_QUEUE_URL');
    this.allowSending(app.webhookQueue, 'WEBHOOK_QUEUE_URL');

    this.alarmOnErrors('AdoptErrorsAlarm');
    this.consume('ImportRecords', app.importQueue, { batchSize: 1, maxConcurrency: MAX_CONCURRENCY });
    const queue = () => new targets.SqsQueue(app.importQueue, { deadLetterQueue: app.importDeadLetters });
    new events.Rule(app, 'ImportUploads', {
      description: 'Autolabel: the file of an import was uploaded',
      eventPattern: {
        source: ['aws.s3'],
        detailType: ['Object Created'],
        detail: {
          bucket: { name: [app.bucket.bucketName] },
          object: { key: [{ prefix: 'imports/uploads/' }] },
        },
      },
      targets: [queue()],
    });
    new events.Rule(app, 'ImportSchedule', {
      description: 'Autolabel: finds imports whose worker died',
      schedule: events.Schedule.rate(Duration.minutes(app.settings.settleScheduleMinutes)),
      targets: [queue()],
    });
  }
}

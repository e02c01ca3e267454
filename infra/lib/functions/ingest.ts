import { Duration } from 'aws-cdk-lib';
import * as events from 'aws-cdk-lib/aws-events';
import * as targets from 'aws-cdk-lib/aws-events-targets';
import * as iam from 'aws-cdk-lib/aws-iam';
import type { AutoLabel } from '../autolabel.ts';
import { CONSUMER_TIMEOUT_SECONDS } from '../constructs/queues.ts';
import { RustFunction } from '../constructs/rust-function.ts';
import { fallbackEndpoints } from '../settings.ts';

/** Bounds what a burst of uploads asks of the table. */
const MAX_CONCURRENCY = 10;

export class Ingest extends RustFunction {
  constructor(app: AutoLabel) {
    super(app, 'ingest', {
      description: 'Makes items of uploads, and starts jobs for them',
      timeoutSeconds: CONSUMER_TIMEOUT_SECONDS,
      // Uploads that never pause are checked in more than 16 rounds.
      isRecursive: true,
      queueConcurrency: MAX_CONCURRENCY,
      environment: {
        BUCKET_NAME: app.bucket.bucketName,
        STATE_MACHINE_ARN: app.machine.stateMachineArn,
        SAGEMAKER_ENDPOINTS: JSON.stringify(fallbackEndpoints(app.settings)),
        UPLOAD_WAIT_SECONDS: String(app.settings.uploadWaitSeconds),
      },
    });
    // A job that was created and could not be started is cancelled, which frees its project: a DeleteItem.
    this.allow(['dynamodb:GetItem', 'dynamodb:BatchGetItem', 'dynamodb:Query'], app.table.tableArn);
    this.allow(['dynamodb:PutItem', 'dynamodb:UpdateItem', 'dynamodb:DeleteItem'], app.table.tableArn);
    this.allow(['dynamodb:Query'], app.table.indexArn('active'), app.table.indexArn('unlabeled'));
    this.allow(['s3:GetObject'], app.bucket.items);
    this.allowListing(app.bucket.bucketArn, ...app.sourceBuckets.arns);
    this.allow(['states:StartExecution'], app.machine.stateMachineArn);
    this.allowSending(app.uploadQueue, 'UPLOAD_QUEUE_URL');
    this.allowSending(app.uploadDeadLetters, 'UPLOAD_DEAD_LETTER_QUEUE_URL');
    app.sourceBuckets.allowReading(this);

    // Uploads come in bursts, and one call counts all of a batch that belong to one project.
    const maxBatchingWindow = Duration.seconds(1);
    this.consume('UploadRecords', app.uploadQueue, { batchSize: 100, maxBatchingWindow, maxConcurrency: MAX_CONCURRENCY });
    this.subscribe(app);

    this.alarmOnErrors('IngestErrorsAlarm');
  }

  /** Every event comes by the queue: while the function cannot work nothing is lost, and what fails is in one dead-letter queue. */
  private subscribe(app: AutoLabel): void {
    const queue = () => new targets.SqsQueue(app.uploadQueue, { deadLetterQueue: app.uploadDeadLetters });
    new events.Rule(app, 'Uploads', {
      description: 'Autolabel: an object was written or deleted',
      eventPattern: {
        source: ['aws.s3'],
        detailType: ['Object Created', 'Object Deleted'],
        detail: {
          bucket: { name: [app.bucket.bucketName, ...app.sourceBuckets.names] },
          object: { key: [{ prefix: 'projects/' }] },
        },
      },
      targets: [queue()],
    });
    new events.Rule(app, 'ProjectFreed', {
      description: 'Autolabel: an execution ended, and uploads may have waited for it',
      eventPattern: app.machine.executionEvents('SUCCEEDED', 'FAILED', 'TIMED_OUT', 'ABORTED'),
      targets: [queue()],
    });
    new events.Rule(app, 'UploadSchedule', {
      description: 'Autolabel: checks uploads that wait',
      schedule: events.Schedule.rate(Duration.minutes(app.settings.settleScheduleMinutes)),
      targets: [queue()],
    });
  }

  /**
   * S3 answers 403, whether an object is gone or forbidden, unless the caller may list the bucket. A `GetObject` has no prefix, so
   * this right does not turn that answer into a 404: the function reads the list instead.
   */
  private allowListing(...buckets: string[]): void {
    const conditions = { StringLike: { 's3:prefix': 'projects/*' } };
    this.addToRolePolicy(new iam.PolicyStatement({ actions: ['s3:ListBucket'], resources: buckets, conditions }));
  }
}

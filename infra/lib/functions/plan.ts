import { Duration } from 'aws-cdk-lib';
import type { AutoLabel } from '../autolabel.ts';
import { Alarm, percent } from '../constructs/alarm.ts';
import { ONE_PROCESSOR_MIB, RustFunction } from '../constructs/rust-function.ts';

/** A fault that the first retry heals is half of its invocations. */
const MOST_FAULTS_PERCENT = 60;

export class Plan extends RustFunction {
  constructor(app: AutoLabel) {
    super(app, 'plan', {
      description: 'Picks the items of a job and cuts them into batches',
      timeoutSeconds: 300,
      memoryMiB: ONE_PROCESSOR_MIB,
      environment: {
        BUCKET_NAME: app.bucket.bucketName,
        ITEM_CAP: String(app.settings.itemCap),
        INLINE_BATCHES: String(app.settings.inlineBatches),
        WORKERS: String(app.settings.workers),
        SLOTS_PER_WORKER: String(app.settings.slotsPerWorker),
        MAX_CONCURRENCY: String(app.settings.maxConcurrency),
      },
    });
    app.machine.addTask('PlanArn', this);

    this.allow(['dynamodb:GetItem', 'dynamodb:BatchGetItem', 'dynamodb:Query'], app.table.tableArn);
    this.allow(['dynamodb:PutItem', 'dynamodb:UpdateItem'], app.table.tableArn);
    // The listing: a job without items says what the project's items have.
    this.allow(['dynamodb:Query'], app.table.indexArn('unlabeled'), app.table.indexArn('listing'));
    // A job that retries another one reads its manifest.
    this.allow(['s3:GetObject', 's3:PutObject'], app.bucket.jobs);

    this.alarmOnDuration('PlanDurationAlarm');
    // An execution whose Plan failed succeeds: Finalize ends the job. So only this alarm rings when every job fails at once.
    const period = Duration.minutes(1);
    new Alarm(app, 'PlanFaultsAlarm', {
      event: 'plan fails, and not for a provider',
      metric: percent(app.logMetrics.faults(this, period), this.metricInvocations({ period }), { period }),
      threshold: MOST_FAULTS_PERCENT,
    });
  }
}

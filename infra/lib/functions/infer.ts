import type { AutoLabel } from '../autolabel.ts';
import { Alarm, FIVE_MINUTES, LASTING } from '../constructs/alarm.ts';
import { ONE_PROCESSOR_MIB, RustFunction } from '../constructs/rust-function.ts';

/** A batch has eight retries in some two minutes. */
const FAULTS_IN_FIVE_MINUTES = 3;

export class Infer extends RustFunction {
  constructor(app: AutoLabel) {
    super(app, 'infer', {
      description: 'Sends one batch to the model and commits its drafts',
      timeoutSeconds: 900,
      memoryMiB: ONE_PROCESSOR_MIB,
      environment: {
        BUCKET_NAME: app.bucket.bucketName,
        SAGEMAKER_ENDPOINTS: JSON.stringify(app.settings.sagemakerEndpoints),
        PATIENCE_SECONDS: String(app.settings.patienceSeconds),
        BOT_USER: app.settings.botUser,
        SECRETS_KEY_ID: app.secretsKey.keyId,
      },
    });
    app.machine.addTask('InferArn', this);

    this.allow(['dynamodb:GetItem', 'dynamodb:Query', 'dynamodb:PutItem', 'dynamodb:UpdateItem'], app.table.tableArn);
    this.allow(['s3:GetObject'], app.bucket.jobs, app.bucket.items);
    this.allow(['s3:PutObject'], app.bucket.jobs);
    app.modelCallers.grantCallerRoles(this);
    app.sourceBuckets.allowReading(this);

    // No share of the invocations: an unfinished batch and a tenant's model are errors of Lambda's, and Lambda counts an error when
    // its invocation began, up to 15 minutes ago.
    new Alarm(app, 'InferFaultsAlarm', {
      event: 'infer fails, and not for the model',
      metric: app.logMetrics.faults(this, FIVE_MINUTES.period),
      threshold: FAULTS_IN_FIVE_MINUTES,
      periods: LASTING,
    });
  }
}

import type { AutoLabel } from '../autolabel.ts';
import { Alarm } from '../constructs/alarm.ts';
import { ONE_PROCESSOR_MIB, RustFunction } from '../constructs/rust-function.ts';

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

    new Alarm(app, 'InferErrorsAlarm', 'infer fails', this.metricErrors());
  }
}

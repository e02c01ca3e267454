import type { AutoLabel } from '../autolabel.ts';
import { RustFunction } from '../constructs/rust-function.ts';

export class Finalize extends RustFunction {
  constructor(app: AutoLabel) {
    super(app, 'finalize', { description: 'Settles a job whose batches are done', timeoutSeconds: 120 });
    app.machine.addTask('FinalizeArn', this);

    this.allow(['dynamodb:GetItem', 'dynamodb:BatchGetItem', 'dynamodb:Query'], app.table.tableArn);
    this.allow(['dynamodb:PutItem', 'dynamodb:UpdateItem', 'dynamodb:DeleteItem'], app.table.tableArn);
    this.allowSending(app.webhookQueue, 'WEBHOOK_QUEUE_URL');

    this.alarmOnErrors('FinalizeErrorsAlarm');
    this.alarmOnDuration('FinalizeDurationAlarm');
  }
}

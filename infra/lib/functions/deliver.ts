import type { AutoLabel } from '../autolabel.ts';
import { Alarm, FIVE_MINUTES, LASTING, percent } from '../constructs/alarm.ts';
import { CONSUMER_TIMEOUT_SECONDS } from '../constructs/queues.ts';
import { RustFunction } from '../constructs/rust-function.ts';

/** Organizations whose receivers may all hang before they take the whole concurrency of the webhook queue. */
const ORGANIZATIONS = 4;

const MOST_FAILURES_PERCENT = 10;

export class Deliver extends RustFunction {
  constructor(app: AutoLabel) {
    const { webhookConcurrency, overflowConcurrency, webhookRetrySeconds } = app.settings;
    super(app, 'deliver', {
      description: 'Signs and sends webhook deliveries',
      timeoutSeconds: CONSUMER_TIMEOUT_SECONDS,
      // A delivery may wait for more than 16 rounds: its last attempts are hours away.
      isRecursive: true,
      queueConcurrency: webhookConcurrency + overflowConcurrency,
      environment: {
        WEBHOOK_QUEUE_URL: app.webhookQueue.queueUrl,
        WEBHOOK_SLOTS: String(Math.floor(webhookConcurrency / ORGANIZATIONS)),
        SECRETS_KEY_ID: app.secretsKey.keyId,
        WEBHOOK_RETRY_SECONDS: webhookRetrySeconds.join(','),
      },
    });
    // The bounds keep receivers that hang from taking the account's concurrency.
    this.consume('WebhookRecords', app.webhookQueue, { batchSize: 10, maxConcurrency: webhookConcurrency });
    this.consume('OverflowRecords', app.webhookOverflow, { batchSize: 10, maxConcurrency: overflowConcurrency });

    this.allow(['dynamodb:GetItem', 'dynamodb:UpdateItem'], app.table.tableArn);
    this.allow(['kms:Decrypt'], app.secretsKey.keyArn);
    this.allowSending(app.webhookOverflow, 'WEBHOOK_OVERFLOW_QUEUE_URL');
    this.allowSending(app.deadLetters, 'DEAD_LETTER_QUEUE_URL');

    this.alarmOnErrors('DeliverErrorsAlarm');
    this.alarmOnRecords(app);
  }

  /**
   * A receiver that answers nothing is its tenant's. A record that fails is ours: its delivery could not be read, sealed or stored. The
   * dead-letter queue holds both kinds, so no alarm counts its messages.
   */
  private alarmOnRecords({ logMetrics }: AutoLabel): void {
    const [failures, records] = ['failures', 'records'].map((field) =>
      logMetrics.sum(this, 'records handled', field, FIVE_MINUTES.period),
    );
    const metric = percent(failures!, records!);
    const event = 'records of webhooks fail, and not for their receivers';
    new Alarm(this.app, 'DeliverRecordsAlarm', { event, metric, threshold: MOST_FAILURES_PERCENT, periods: LASTING });
  }
}

import { Duration } from 'aws-cdk-lib';
import * as sqs from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import { Alarm, LASTING } from './alarm.ts';

/** Of every function that a queue invokes, but for the one of imports. */
export const CONSUMER_TIMEOUT_SECONDS = 60;

/** Of the function of imports: it reads a file of gigabytes at once (AWS, "Lambda quotas": the longest). */
export const IMPORT_TIMEOUT_SECONDS = 900;

/** A queue that a function works through, encrypted, over TLS only. A message that fails five times goes to `deadLetters`. */
export class WorkQueue extends sqs.Queue {
  constructor(scope: Construct, id: string, deadLetters: DeadLetterQueue, timeoutSeconds = CONSUMER_TIMEOUT_SECONDS) {
    super(scope, id, {
      encryption: sqs.QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
      // AWS advises six times the consumer's timeout, so that Lambda can retry a throttled batch before its records show up again.
      visibilityTimeout: Duration.seconds(6 * timeoutSeconds + 30),
      retentionPeriod: Duration.days(14),
      deadLetterQueue: { queue: deadLetters, maxReceiveCount: 5 },
    });
  }

  /** Rings if a message has waited for so long: its function does not keep up. */
  alarmOnAge(threshold: Duration): void {
    new Alarm(this.node.scope!, `${this.node.id}AgeAlarm`, {
      event: `messages of ${this.node.id} wait`,
      metric: this.metricApproximateAgeOfOldestMessage(),
      threshold: threshold.toSeconds(),
      periods: LASTING,
    });
  }
}

/** Messages that wait for a person, for 14 days: SQS keeps none longer. */
export class DeadLetterQueue extends sqs.Queue {
  /** `event`: what the first message means; it raises an alarm. Without it there is none. */
  constructor(scope: Construct, id: string, event?: string) {
    super(scope, id, { encryption: sqs.QueueEncryption.SQS_MANAGED, enforceSSL: true, retentionPeriod: Duration.days(14) });
    if (event === undefined) return;
    const metric = this.metricApproximateNumberOfMessagesVisible({ statistic: 'Maximum' });
    new Alarm(scope, `${id}Alarm`, { event, metric, threshold: 1 });
  }
}

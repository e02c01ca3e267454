import { Duration } from 'aws-cdk-lib';
import * as sqs from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';

/** A queue that a function works through, encrypted, over TLS only; what fails five times goes to `deadLetters`. */
export class WorkQueue extends sqs.Queue {
  constructor(
    scope: Construct,
    id: string,
    props: { readonly consumerTimeoutSeconds: number; readonly deadLetters: DeadLetterQueue },
  ) {
    super(scope, id, {
      encryption: sqs.QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
      // AWS advises six times the consumer's timeout, so that Lambda can retry a throttled batch before its records show up again.
      visibilityTimeout: Duration.seconds(6 * props.consumerTimeoutSeconds + 30),
      retentionPeriod: Duration.days(14),
      deadLetterQueue: { queue: props.deadLetters, maxReceiveCount: 5 },
    });
  }
}

/** Where messages wait for a person, as long as SQS keeps them. */
export class DeadLetterQueue extends sqs.Queue {
  constructor(scope: Construct, id: string) {
    super(scope, id, { encryption: sqs.QueueEncryption.SQS_MANAGED, enforceSSL: true, retentionPeriod: Duration.days(14) });
  }
}

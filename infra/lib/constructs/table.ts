import { RemovalPolicy } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as dynamodb from 'aws-cdk-lib/aws-dynamodb';
import type { Construct } from 'constructs';
import { Alarm, FIVE_MINUTES, LASTING } from './alarm.ts';

const key = (name: string): dynamodb.Attribute => ({ name, type: dynamodb.AttributeType.STRING });

/** A job slows down for throttles and loses nothing. One refusal in a second, for long, is more than a burst. */
const THROTTLES_IN_FIVE_MINUTES = 300;

/** The one table. Its indexes are sparse: a row is in one only while it carries that index's keys. */
export class Table extends dynamodb.Table {
  constructor(scope: Construct, id: string) {
    super(scope, id, {
      partitionKey: key('pk'),
      sortKey: key('sk'),
      billingMode: dynamodb.BillingMode.PAY_PER_REQUEST,
      encryption: dynamodb.TableEncryption.AWS_MANAGED,
      pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
      timeToLiveAttribute: 'expires_at',
      removalPolicy: RemovalPolicy.RETAIN,
    });
    this.addIndex('listing', { projectionType: dynamodb.ProjectionType.KEYS_ONLY });
    // Plan reads what it needs of an item from the index alone, packed into one attribute: cost follows kilobytes.
    this.addIndex('unlabeled', { projectionType: dynamodb.ProjectionType.INCLUDE, nonKeyAttributes: ['item'] });
    this.addIndex('active', { projectionType: dynamodb.ProjectionType.KEYS_ONLY });
    new Alarm(scope, 'TableThrottlesAlarm', {
      event: 'the table refuses requests',
      metric: new cloudwatch.MathExpression({
        expression: 'FILL(reads, 0) + FILL(writes, 0)',
        usingMetrics: { reads: this.throttles('Read'), writes: this.throttles('Write') },
        label: 'throttles',
        ...FIVE_MINUTES,
      }),
      threshold: THROTTLES_IN_FIVE_MINUTES,
      periods: LASTING,
    });
  }

  /** Of the table itself: those of an index have a name of their own, and stop the writes of the table too. */
  throttles(of: 'Read' | 'Write'): cloudwatch.Metric {
    return this.metric(`${of}ThrottleEvents`, { statistic: 'Sum', ...FIVE_MINUTES });
  }

  /** What a statement names to allow queries of one index. */
  indexArn(indexName: 'listing' | 'unlabeled' | 'active'): string {
    return `${this.tableArn}/index/${indexName}`;
  }

  private addIndex(
    indexName: string,
    projection: Pick<dynamodb.GlobalSecondaryIndexProps, 'projectionType' | 'nonKeyAttributes'>,
  ): void {
    this.addGlobalSecondaryIndex({
      indexName,
      partitionKey: key(`${indexName}_pk`),
      sortKey: key(`${indexName}_sk`),
      ...projection,
    });
  }
}

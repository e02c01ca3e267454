import { RemovalPolicy } from 'aws-cdk-lib';
import * as dynamodb from 'aws-cdk-lib/aws-dynamodb';
import type { Construct } from 'constructs';

const key = (name: string): dynamodb.Attribute => ({ name, type: dynamodb.AttributeType.STRING });

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

import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import type { Construct } from 'constructs';

/** An alarm at the first event within five minutes. It has no action: a deployment subscribes the people that it wants to wake. */
export class Alarm extends cloudwatch.Alarm {
  /** `event` is a clause, such as "infer fails". */
  constructor(scope: Construct, id: string, event: string, metric: cloudwatch.Metric) {
    super(scope, id, {
      alarmDescription: `Autolabel: ${event}`,
      metric,
      threshold: 1,
      evaluationPeriods: 1,
      comparisonOperator: cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
      treatMissingData: cloudwatch.TreatMissingData.NOT_BREACHING,
    });
  }
}

import { Duration } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import type { Construct } from 'constructs';

export interface AlarmProps {
  /** A clause, such as "infer fails". */
  readonly event: string;
  /** Its period is the alarm's: {@link FIVE_MINUTES} if the metric names none. */
  readonly metric: cloudwatch.IMetric;
  /** The first value that is too much. */
  readonly threshold: number;
  /** Periods that are too much, and periods of which they are. @default [1, 1] */
  readonly periods?: readonly [tooMuch: number, of: number];
  /** Whether a period without data is too much: for a metric that must always have some. @default false */
  readonly ringsOnSilence?: boolean;
}

export const FIVE_MINUTES = { period: Duration.minutes(5) };
/** For what a retry heals: one period may be bad. */
export const LASTING = [2, 3] as const;

/**
 * One alarm. Its id has a section in docs/runbook.md, and a test holds that (decision 0049). The setting `alarmTopic` names who is
 * notified.
 */
export class Alarm extends cloudwatch.Alarm {
  constructor(scope: Construct, id: string, props: AlarmProps) {
    const [datapointsToAlarm, evaluationPeriods] = props.periods ?? [1, 1];
    super(scope, id, {
      alarmDescription: `Autolabel: ${props.event}. Runbook: ${id}`,
      metric: props.metric,
      threshold: props.threshold,
      datapointsToAlarm,
      evaluationPeriods,
      comparisonOperator:
        props.ringsOnSilence === true
          ? cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD
          : cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
      treatMissingData:
        props.ringsOnSilence === true ? cloudwatch.TreatMissingData.BREACHING : cloudwatch.TreatMissingData.NOT_BREACHING,
    });
  }
}

/** `part` of `whole` in percent; 0 in a period in which `whole` is below `least`, since one of two is no rate. */
export function percent(
  part: cloudwatch.IMetric,
  whole: cloudwatch.IMetric,
  { least = 1, period = FIVE_MINUTES.period }: { least?: number; period?: Duration } = {},
): cloudwatch.MathExpression {
  return new cloudwatch.MathExpression({
    expression: `IF(whole >= ${least}, 100 * FILL(part, 0) / whole, 0)`,
    usingMetrics: { part, whole },
    label: 'percent',
    period,
  });
}

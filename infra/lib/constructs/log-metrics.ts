import { type Duration, Names } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as logs from 'aws-cdk-lib/aws-logs';
import type { AutoLabel } from '../autolabel.ts';
import type { RustFunction } from './rust-function.ts';

/** Task errors that are a tenant's to correct, or the normal end of an invocation: `TABLE` of `shared/src/domain/kernel/error.rs`. */
export const EXPECTED_CODES = ['BatchUnfinished', 'BatchStuck', 'ProviderRefused', 'ProviderGone', 'NoInferenceProvider'];

/** What Lambda writes when it ends a process: no line of ours reports that. */
const ENDED_BY_LAMBDA = logs.FilterPattern.anyTerm('Task timed out', 'Runtime exited');

/** Metrics of the lines that functions log anyway, so no call and no line more. A custom metric costs 0.30 dollars a month. */
export class LogMetrics {
  readonly namespace: string;

  constructor(app: AutoLabel) {
    this.namespace = `Autolabel/${Names.uniqueResourceName(app, { maxLength: 100, separator: '-' })}`;
  }

  /** Failures of a task that no tenant can correct, and processes that Lambda ended. */
  faults(fn: RustFunction, period: Duration): cloudwatch.Metric {
    const name = `${fn.node.id}Faults`;
    const ours = EXPECTED_CODES.map((code) => logs.FilterPattern.stringValue('$.code', '!=', code));
    const failed = logs.FilterPattern.all(logs.FilterPattern.stringValue('$.message', '=', 'task failed'), ...ours);
    this.filter(fn, `${name}Filter`, name, failed, '1');
    this.filter(fn, `${name}EndedFilter`, name, ENDED_BY_LAMBDA, '1');
    return this.metric(name, period);
  }

  /** The sum of `field` over the lines of `fn` with this message. */
  sum(fn: RustFunction, message: string, field: string, period: Duration): cloudwatch.Metric {
    const name = `${fn.node.id}${field.charAt(0).toUpperCase()}${field.slice(1)}`;
    const pattern = logs.FilterPattern.all(
      logs.FilterPattern.stringValue('$.message', '=', message),
      logs.FilterPattern.exists(`$.${field}`),
    );
    this.filter(fn, `${name}Filter`, name, pattern, `$.${field}`);
    return this.metric(name, period);
  }

  private filter(
    fn: RustFunction,
    id: string,
    metricName: string,
    filterPattern: logs.IFilterPattern,
    metricValue: string,
  ): void {
    new logs.MetricFilter(fn.node.scope!, id, {
      logGroup: fn.logGroup,
      metricNamespace: this.namespace,
      metricName,
      filterPattern,
      metricValue,
    });
  }

  private metric(metricName: string, period: Duration): cloudwatch.Metric {
    return new cloudwatch.Metric({ namespace: this.namespace, metricName, statistic: 'Sum', period });
  }
}

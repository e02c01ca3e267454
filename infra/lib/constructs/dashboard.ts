import { Duration } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import type { AutoLabel } from '../autolabel.ts';

const MINUTE = { period: Duration.minutes(1) };
const WIDTH = 8;
const HEIGHT = 6;

/** What an operator reads first when an alarm rings: what clients see, what jobs do, where work waits, and what fails. */
export class Dashboard extends cloudwatch.Dashboard {
  constructor(app: AutoLabel) {
    super(app, 'Dashboard', { defaultInterval: Duration.hours(3) });
    this.addWidgets(new cloudwatch.AlarmStatusWidget({ title: 'Alarms', alarms: [...app.alarms], width: 3 * WIDTH, height: 4 }));
    this.addWidgets(...requests(app));
    this.addWidgets(...jobs(app));
    this.addWidgets(...functions(app));
    this.addWidgets(...queues(app));
    this.addWidgets(failures(app));
  }
}

function graph(title: string, left: cloudwatch.IMetric[], right: cloudwatch.IMetric[] = []): cloudwatch.GraphWidget {
  return new cloudwatch.GraphWidget({ title, left, right, width: WIDTH, height: HEIGHT });
}

function requests({ api, table }: AutoLabel): cloudwatch.IWidget[] {
  const latency = (statistic: string) => api.metricLatency({ ...MINUTE, statistic, label: statistic });
  const consumed = (of: 'Read' | 'Write') =>
    table.metric(`Consumed${of}CapacityUnits`, { ...MINUTE, statistic: 'Sum', label: `${of.toLowerCase()} units` });
  return [
    graph(
      'API: requests and errors a minute',
      [api.metricCount({ ...MINUTE, label: 'requests' })],
      [api.metricServerError({ ...MINUTE, label: '5xx' }), api.metricClientError({ ...MINUTE, label: '4xx' })],
    ),
    graph('API: milliseconds', [latency('p50'), latency('p95'), latency('p99')]),
    graph(
      'Table: units a minute, throttles',
      [consumed('Read'), consumed('Write')],
      [table.throttles('Read'), table.throttles('Write')],
    ),
  ];
}

function jobs({ machine, logMetrics, functions: { infer, deliver } }: AutoLabel): cloudwatch.IWidget[] {
  const ofBatches = (field: string, label: string) => logMetrics.sum(infer, 'batch worked', field, MINUTE.period).with({ label });
  return [
    graph('Executions', [
      machine.metricStarted({ ...MINUTE, label: 'started' }),
      machine.metricSucceeded({ ...MINUTE, label: 'succeeded' }),
      machine.metricFailed({ ...MINUTE, label: 'failed' }),
      machine.metricTimedOut({ ...MINUTE, label: 'timed out' }),
      machine.metricAborted({ ...MINUTE, label: 'cancelled' }),
    ]),
    graph(
      'Model: items and calls of batches that ended',
      [ofBatches('items', 'items'), ofBatches('calls', 'calls')],
      [ofBatches('refused', 'refused calls')],
    ),
    graph('Milliseconds of a batch, and of webhooks', [
      infer.metricDuration({ ...MINUTE, statistic: 'p95', label: 'batch p95' }),
      deliver.metricDuration({ ...MINUTE, statistic: 'p95', label: 'webhooks p95' }),
    ]),
  ];
}

function functions({ functions }: AutoLabel): cloudwatch.IWidget[] {
  const each = Object.entries(functions);
  const named = (label: string) => ({ ...MINUTE, label });
  return [
    graph(
      'Functions at once',
      each.map(([name, fn]) => fn.metric('ConcurrentExecutions', { ...named(name), statistic: 'Maximum' })),
    ),
    graph(
      'Functions: errors',
      each.map(([name, fn]) => fn.metricErrors(named(name))),
    ),
    graph(
      'Functions: throttles',
      each.map(([name, fn]) => fn.metricThrottles(named(name))),
    ),
  ];
}

function queues(app: AutoLabel): cloudwatch.IWidget[] {
  const work = {
    webhooks: app.webhookQueue,
    'further attempts': app.webhookOverflow,
    uploads: app.uploadQueue,
    exports: app.exportQueue,
    imports: app.importQueue,
  };
  const dead = {
    'deliveries given up': app.deadLetters,
    uploads: app.uploadDeadLetters,
    exports: app.exportDeadLetters,
    imports: app.importDeadLetters,
    'lost ends': app.lostEnds,
  };
  return [
    graph(
      'Messages that wait',
      Object.entries(work).map(([label, queue]) => queue.metricApproximateNumberOfMessagesVisible({ ...MINUTE, label })),
    ),
    graph(
      'Seconds of the oldest message',
      Object.entries(work).map(([label, queue]) => queue.metricApproximateAgeOfOldestMessage({ ...MINUTE, label })),
    ),
    graph(
      'Dead letters',
      Object.entries(dead).map(([label, queue]) => queue.metricApproximateNumberOfMessagesVisible({ ...MINUTE, label })),
    ),
  ];
}

function failures({ functions }: AutoLabel): cloudwatch.IWidget {
  return new cloudwatch.LogQueryWidget({
    title: 'The last failures',
    logGroupNames: Object.values(functions).map(({ logGroup }) => logGroup.logGroupName),
    queryLines: [
      'fields @timestamp, @log, message, code, causes, `job.uid`',
      'filter level = "ERROR"',
      'sort @timestamp desc',
      'limit 50',
    ],
    width: 3 * WIDTH,
    height: HEIGHT,
  });
}

/**
 * Each alarm rings for its cause, and all are silent on a day of normal work: here on made-up periods of its metrics, through the
 * alarm's own expression, threshold and "M out of N". AWS evaluates alarms; the local stack does not.
 */

import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { describe, test } from 'node:test';
import { Deployment, FUNCTIONS, type Json } from './deployment.ts';

const TOPIC = 'arn:aws:sns:eu-west-1:123456789012:on-call';
const deployment = new Deployment({ alarmTopic: TOPIC });
const { template, stack, autoLabel } = deployment;
const ALARMS: ReadonlyMap<string, Json> = new Map(
  autoLabel.alarms.map((alarm) => [
    alarm.node.id,
    template.toJSON().Resources[stack.getLogicalId(alarm.node.defaultChild as never)].Properties,
  ]),
);
const RUNBOOK = fs.readFileSync(new URL('../../docs/runbook.md', import.meta.url), 'utf8');

/** The values of metrics in one period, by name. A metric that is not named has no data. */
type Period = Readonly<Record<string, number>>;

const times = (count: number, period: Period): Period[] => Array<Period>(count).fill(period);
const errors = times(2, { Errors: 5, Invocations: 20 });
const slow = (milliseconds: number) => times(2, { Duration: milliseconds });
const waiting = (seconds: number) => times(2, { ApproximateAgeOfOldestMessage: seconds });
const letter = [{ ApproximateNumberOfMessagesVisible: 1 }];

/** What makes each alarm ring, and nearly the same, which does not. */
const CAUSES: Readonly<Record<string, { rings: Period[]; silent: Period[] }>> = {
  ApiErrorsAlarm: { rings: times(2, { '5xx': 2, Count: 150 }), silent: times(3, { '5xx': 9, Count: 90 }) },
  ApiLatencyAlarm: { rings: times(2, { Latency: 12_000, Count: 150 }), silent: times(3, { Latency: 20_000, Count: 40 }) },
  TableThrottlesAlarm: {
    rings: times(2, { WriteThrottleEvents: 300 }),
    silent: [{ WriteThrottleEvents: 5_000, ReadThrottleEvents: 10 }, {}, { ReadThrottleEvents: 200 }],
  },
  ExecutionsFailedAlarm: { rings: [{ ExecutionsFailed: 1 }], silent: [{ ExecutionsFailed: 0 }, {}] },
  ExecutionsTimedOutAlarm: { rings: [{ ExecutionsTimedOut: 1 }], silent: [{}] },
  // Every job fails at Plan: one minute of that is enough.
  PlanFaultsAlarm: {
    rings: [{ planFaults: 3, Invocations: 3 }],
    silent: [{ planFaults: 1, Invocations: 2 }, { Invocations: 40 }, { planFaults: 4, Invocations: 100 }],
  },
  PlanDurationAlarm: { rings: slow(250_000), silent: slow(200_000) },
  InferFaultsAlarm: { rings: times(2, { inferFaults: 3 }), silent: [{ inferFaults: 8 }, {}, { inferFaults: 2 }] },
  FinalizeErrorsAlarm: { rings: errors, silent: [errors[0]!] },
  FinalizeDurationAlarm: { rings: slow(96_000), silent: slow(60_000) },
  SettleErrorsAlarm: { rings: errors, silent: [errors[0]!] },
  SettleDurationAlarm: { rings: slow(110_000), silent: slow(30_000) },
  SettleSilentAlarm: { rings: times(3, {}), silent: [...times(2, {}), { Invocations: 1 }] },
  DeliverErrorsAlarm: { rings: errors, silent: [errors[0]!] },
  DeliverRecordsAlarm: {
    rings: times(2, { deliverFailures: 4, deliverRecords: 20 }),
    silent: times(3, { deliverFailures: 4, deliverRecords: 400 }),
  },
  IngestErrorsAlarm: { rings: errors, silent: [errors[0]!] },
  ComposeErrorsAlarm: { rings: errors, silent: [errors[0]!] },
  AdoptErrorsAlarm: { rings: errors, silent: [errors[0]!] },
  UploadDeadLettersAlarm: { rings: letter, silent: [{ ApproximateNumberOfMessagesVisible: 0 }] },
  ExportDeadLettersAlarm: { rings: letter, silent: [{}] },
  ImportDeadLettersAlarm: { rings: letter, silent: [{}] },
  LostEndsAlarm: { rings: letter, silent: [{}] },
  WebhookQueueAgeAlarm: { rings: waiting(900), silent: waiting(600) },
  UploadQueueAgeAlarm: { rings: waiting(1_800), silent: waiting(900) },
  ExportQueueAgeAlarm: { rings: waiting(1_800), silent: waiting(1_200) },
  ImportQueueAgeAlarm: { rings: waiting(3_600), silent: waiting(1_800) },
  ...Object.fromEntries(
    FUNCTIONS.map((name) => [
      `${name}ThrottlesAlarm`,
      { rings: times(2, { Throttles: 10 }), silent: [{ Throttles: 400 }, {}, { Throttles: 9 }] },
    ]),
  ),
};

/**
 * A day of 500 jobs in periods of five minutes: providers with typos and models that refuse, which are errors of infer and plan; dead
 * receivers; batches that are handed back; bursts that are throttled once; a table that throttles for a minute; calls that wait for a model.
 */
const DAY: readonly Period[] = Array.from({ length: 288 }, (_, n) => ({
  Count: n % 12 === 0 ? 900 : 120,
  '5xx': n % 40 === 0 ? 3 : 0,
  Latency: n % 9 === 0 ? 14_000 : 180,
  Invocations: 30,
  Errors: n % 30 === 0 ? 4 : 1,
  Throttles: n % 24 === 0 ? 60 : 0,
  Duration: 28_000,
  ...(n % 50 === 0 ? { planFaults: 1, WriteThrottleEvents: 900, inferFaults: 2 } : {}),
  deliverRecords: 200,
  deliverFailures: n % 70 === 0 ? 5 : 0,
  ApproximateAgeOfOldestMessage: n % 20 === 0 ? 700 : 5,
}));

test('each alarm has a cause here, and each cause an alarm', () => {
  assert.deepEqual([...ALARMS.keys()].sort(), Object.keys(CAUSES).sort());
});

describe('an alarm rings for its cause, and not for nearly the same', () => {
  for (const [id, { rings, silent }] of Object.entries(CAUSES)) {
    test(id, () => {
      assert.equal(doesRing(ALARMS.get(id), rings), true, 'the cause');
      assert.equal(doesRing(ALARMS.get(id), silent), false, 'nearly the same');
      if (id !== 'SettleSilentAlarm') assert.equal(doesRing(ALARMS.get(id), times(5, {})), false, 'no data');
    });
  }
});

test('no alarm rings on a day of normal work', () => {
  const rang = [...ALARMS].filter(([, alarm]) => doesRing(alarm, DAY)).map(([id]) => id);

  assert.deepEqual(rang, []);
});

test('an alarm watches the resource of its name, for as long as its periods', () => {
  const { functions, table, api, machine } = autoLabel;
  const named: Record<string, unknown> = {
    ...Object.fromEntries(FUNCTIONS.map((name) => [name, stack.resolve(functions[name].functionName)])),
    api: stack.resolve(api.apiId),
    table: stack.resolve(table.tableName),
    executions: stack.resolve(machine.stateMachineArn),
  };
  for (const [id, alarm] of ALARMS) {
    const owner = Object.keys(named).find((name) => id.toLowerCase().startsWith(name) && !id.includes('Records'));
    const stats = statsOf(alarm);
    if (owner !== undefined) {
      for (const { Metric } of stats) {
        if (Metric.Dimensions !== undefined) assert.deepEqual(Metric.Dimensions[0].Value, named[owner], id);
      }
    }
    assert.equal(new Set(stats.map(({ Period }) => Period)).size, 1, id);
    assert.ok(stats.length <= 10, id);
  }
});

test('the topic of the setting is notified when an alarm rings and when it stops; without one, none is', () => {
  for (const alarm of ALARMS.values()) assert.deepEqual([alarm.AlarmActions, alarm.OKActions], [[TOPIC], [TOPIC]]);
  for (const { Properties } of Object.values(new Deployment().template.findResources('AWS::CloudWatch::Alarm'))) {
    assert.equal(Properties.AlarmActions, undefined);
  }
});

describe('the runbook', () => {
  const sections = RUNBOOK.split(/^## /m).slice(1);
  const listed = sections.flatMap((section) => alarmsOf(section));

  test('has one section for each alarm, and none for an alarm that is gone', () => {
    assert.deepEqual(listed.sort(), [...ALARMS.keys()].sort());
  });

  test('says of each what it means, what to check, what to do, and what may wait', () => {
    for (const section of sections.filter((section) => alarmsOf(section).length > 0)) {
      const parts = [...section.matchAll(/^\*\*(.+?)\.\*\* \S/gm)].map(([, part]) => part);
      assert.deepEqual(parts, ['Means', 'Check', 'Do', 'May wait'], section.split('\n')[0]);
    }
  });

  test('is named by the description of each alarm', () => {
    for (const [id, { AlarmDescription }] of ALARMS)
      assert.match(AlarmDescription, new RegExp(`^Autolabel: .*\\. Runbook: ${id}$`));
  });
});

test('metrics of logs count what no tenant can correct', () => {
  const patternsOf = (metric: string) =>
    Object.values(template.findResources('AWS::Logs::MetricFilter'))
      .filter(({ Properties }) => Properties.MetricTransformations[0].MetricName === metric)
      .map(({ Properties }) => [Properties.FilterPattern, Properties.MetricTransformations[0].MetricValue]);

  for (const name of ['plan', 'infer']) {
    const [failed, ended] = patternsOf(`${name}Faults`);
    assert.match(failed![0], /^\{ \(\$\.message = "task failed"\) && \(\$\.code != "BatchUnfinished"\) && .*"ProviderRefused"/);
    assert.equal(ended![0], '?"Task timed out" ?"Runtime exited"');
  }
  for (const [metric, field] of [
    ['deliverFailures', 'failures'],
    ['inferItems', 'items'],
    ['inferRefused', 'refused'],
  ] as const) {
    assert.equal(patternsOf(metric)[0]![1], `$.${field}`);
  }
});

test('codes that are a tenant’s to correct are codes of the domain', async () => {
  const { EXPECTED_CODES } = await import('../lib/constructs/log-metrics.ts');
  const domain = fs.readFileSync(new URL('../../shared/src/domain/kernel/error.rs', import.meta.url), 'utf8');

  for (const code of EXPECTED_CODES) assert.ok(domain.includes(`"${code}"`), code);
});

test('the dashboard shows every alarm and every queue', () => {
  const body = JSON.stringify(deployment.only('AWS::CloudWatch::Dashboard').DashboardBody);
  const { webhookQueue, webhookOverflow, uploadQueue, exportQueue, importQueue } = autoLabel;
  const { deadLetters, uploadDeadLetters, exportDeadLetters, importDeadLetters, lostEnds } = autoLabel;

  for (const alarm of autoLabel.alarms) assert.ok(body.includes(JSON.stringify(stack.resolve(alarm.alarmArn)['Fn::GetAtt'])));
  for (const queue of [
    webhookQueue,
    webhookOverflow,
    uploadQueue,
    exportQueue,
    importQueue,
    deadLetters,
    uploadDeadLetters,
    exportDeadLetters,
    importDeadLetters,
    lostEnds,
  ]) {
    assert.ok(body.includes(JSON.stringify(stack.resolve(queue.queueName)['Fn::GetAtt'])), queue.node.id);
  }
});

function alarmsOf(section: string): string[] {
  const line = section.split('\n').find((line) => line.startsWith('Alarms: ')) ?? '';
  return [...line.matchAll(/`(\w+)`/g)].map(([, id]) => id!);
}

/** The metrics that an alarm reads. */
function statsOf(alarm: Json): { Metric: Json; Period: number; Id?: string }[] {
  if (alarm.Metrics === undefined) return [{ Metric: alarm, Period: alarm.Period }];
  return alarm.Metrics.filter(({ MetricStat }: Json) => MetricStat).map(({ MetricStat, Id }: Json) => ({ ...MetricStat, Id }));
}

function doesRing(alarm: Json, periods: readonly Period[]): boolean {
  const tooMuch = periods.map((period) => isTooMuch(alarm, valueOf(alarm, period)));
  const { EvaluationPeriods: of, DatapointsToAlarm: least } = alarm;
  return tooMuch.some((_, end) => tooMuch.slice(Math.max(0, end + 1 - of), end + 1).filter(Boolean).length >= least);
}

function isTooMuch({ ComparisonOperator, Threshold, TreatMissingData }: Json, value: number | undefined): boolean {
  if (value === undefined) return TreatMissingData === 'breaching';
  return ComparisonOperator === 'LessThanThreshold' ? value < Threshold : value >= Threshold;
}

/** CloudWatch's IF and FILL are functions here; an operand without data gives none. */
function valueOf(alarm: Json, period: Period): number | undefined {
  const stats = statsOf(alarm);
  if (alarm.Metrics === undefined) return period[alarm.MetricName];
  const { Expression } = alarm.Metrics.find(({ Expression }: Json) => Expression);
  const names = stats.map(({ Id }) => Id!);
  const values = stats.map(({ Metric }) => period[Metric.MetricName]);
  const evaluate = new Function('IF', 'FILL', ...names, `return ${Expression};`);
  const value = evaluate(
    (condition: boolean, yes: number, no: number) => (condition ? yes : no),
    (operand: number | undefined, filled: number) => operand ?? filled,
    ...values,
  );
  return Number.isNaN(value) ? undefined : value;
}

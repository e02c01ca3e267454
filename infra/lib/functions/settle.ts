import { Duration } from 'aws-cdk-lib';
import * as events from 'aws-cdk-lib/aws-events';
import * as targets from 'aws-cdk-lib/aws-events-targets';
import { acknowledge } from '../acknowledge.ts';
import type { AutoLabel } from '../autolabel.ts';
import { Alarm } from '../constructs/alarm.ts';
import { RustFunction } from '../constructs/rust-function.ts';

/** The watchdog. */
export class Settle extends RustFunction {
  constructor(app: AutoLabel) {
    super(app, 'settle', {
      description: 'Settles jobs whose execution ended otherwise or got stuck',
      timeoutSeconds: 120,
      environment: {
        STATE_MACHINE_ARN: app.machine.stateMachineArn,
        STALE_JOB_SECONDS: String(app.settings.staleJobSeconds),
      },
    });
    this.subscribe(app);

    this.allow(['dynamodb:GetItem', 'dynamodb:BatchGetItem', 'dynamodb:Query'], app.table.tableArn);
    this.allow(['dynamodb:PutItem', 'dynamodb:UpdateItem', 'dynamodb:DeleteItem'], app.table.tableArn);
    this.allow(['dynamodb:Query'], app.table.indexArn('active'));
    this.allow(['states:DescribeExecution', 'states:StopExecution'], app.machine.executions);
    this.allowSending(app.webhookQueue, 'WEBHOOK_QUEUE_URL');
    this.allowSending(app.webhookOverflow, 'WEBHOOK_OVERFLOW_QUEUE_URL');

    this.alarmOnErrors('SettleErrorsAlarm');
    this.alarmOnDuration('SettleDurationAlarm');
    new Alarm(app, 'SettleSilentAlarm', {
      event: 'the watchdog has not run',
      metric: this.metricInvocations({ period: Duration.minutes(Math.max(5, app.settings.settleScheduleMinutes)) }),
      threshold: 1,
      periods: [3, 3],
      ringsOnSilence: true,
    });
  }

  private subscribe(app: AutoLabel): void {
    // Without SUCCEEDED: then Finalize has settled the job.
    new events.Rule(app, 'ExecutionEnded', {
      description: 'Autolabel: an execution ended without finalize',
      eventPattern: app.machine.executionEvents('FAILED', 'TIMED_OUT', 'ABORTED'),
      targets: [new targets.LambdaFunction(this, { deadLetterQueue: app.lostEnds })],
    });
    acknowledge(app.lostEnds, 'SQS3', 'It is a dead-letter queue, of a rule: the check knows only those of queues.');
    new events.Rule(app, 'SettleSchedule', {
      description: 'Autolabel: checks for jobs that got stuck and for events that wait in the outbox',
      schedule: events.Schedule.rate(Duration.minutes(app.settings.settleScheduleMinutes)),
      // No dead-letter queue: the next round does the work of a missed one.
      targets: [new targets.LambdaFunction(this)],
    });
  }
}

import { ArnFormat, Names, RemovalPolicy, Stack } from 'aws-cdk-lib';
import type * as events from 'aws-cdk-lib/aws-events';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as lambda from 'aws-cdk-lib/aws-lambda';
import * as logs from 'aws-cdk-lib/aws-logs';
import * as sfn from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import { acknowledge, acknowledgeWildcard, type Wildcard } from '../acknowledge.ts';
import { Alarm } from './alarm.ts';
import type { Bucket } from './bucket.ts';

/** A Standard state machine from an ASL file. Failures are logged without the data of the execution (I11). */
export class Workflow extends sfn.StateMachine {
  constructor(scope: Construct, id: string, props: { readonly file: string; readonly bucket: Bucket; readonly logDays: number }) {
    // The prefix keeps the log group out of CloudWatch Logs' resource policy, which has room for few.
    const logGroup = new logs.LogGroup(scope, `${id}Logs`, {
      logGroupName: `/aws/vendedlogs/states/${Names.uniqueResourceName(scope, { maxLength: 100, separator: '-' })}-${id}`,
      retention: props.logDays,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    super(scope, id, {
      stateMachineType: sfn.StateMachineType.STANDARD,
      definitionBody: sfn.DefinitionBody.fromFile(props.file),
      definitionSubstitutions: { BucketName: props.bucket.bucketName },
      logs: { destination: logGroup, level: sfn.LogLevel.ERROR, includeExecutionData: false },
      tracingEnabled: true,
    });
    const { batchLists } = props.bucket;
    this.addToRolePolicy(new iam.PolicyStatement({ actions: ['s3:GetObject'], resources: [batchLists.arn] }));
    this.allowMapRuns(scope);
    // Finalize ends a job whose tasks fail, and its execution succeeds. So neither of the two is normal.
    new Alarm(scope, 'ExecutionsFailedAlarm', { event: 'an execution failed', metric: this.metricFailed(), threshold: 1 });
    new Alarm(scope, 'ExecutionsTimedOutAlarm', {
      event: 'an execution ran out of time',
      metric: this.metricTimedOut(),
      threshold: 1,
    });

    acknowledgeWildcard(this.role, batchLists);
    const reason = 'Log delivery and X-Ray have no resource to name; Lambda functions are named.';
    acknowledgeWildcard(this.role, { arn: '*', reason });
    acknowledge(this, 'SF1', 'Failures are enough here: the functions log their work, and each event more is paid for.');
  }

  /** The executions of jobs. */
  get executions(): Wildcard {
    return {
      arn: this.executionArn(`${this.stateMachineName}:*`),
      reason: 'An execution is named by its job; all are of this machine.',
    };
  }

  /** EventBridge's events of executions that end with one of `status`. */
  executionEvents(...status: string[]): events.EventPattern {
    return {
      source: ['aws.states'],
      detailType: ['Step Functions Execution Status Change'],
      detail: { stateMachineArn: [this.stateMachineArn], status },
    };
  }

  /** Lets the machine invoke `fn`, and puts its ARN into `placeholder` of the file. A definition from a file grants nothing by itself. */
  addTask(placeholder: string, fn: lambda.IFunction): void {
    const definition = this.node.defaultChild as sfn.CfnStateMachine;
    definition.addPropertyOverride(`DefinitionSubstitutions.${placeholder}`, fn.functionArn);
    this.addToRolePolicy(new iam.PolicyStatement({ actions: ['lambda:InvokeFunction'], resources: [fn.functionArn] }));
  }

  /**
   * A Distributed Map starts executions of its own machine. In the role's default policy, which the machine waits for, that is a
   * cycle. There is no right to redrive: a job whose execution has ended is settled.
   */
  private allowMapRuns(scope: Construct): void {
    // The label of the Distributed Map stands in the names of its executions.
    const batches = this.executionArn(`${this.stateMachineName}/Batches:*`);
    const executions = [this.executions.arn, batches];
    const policy = new iam.Policy(scope, 'MapRuns', {
      roles: [this.role],
      statements: [
        new iam.PolicyStatement({ actions: ['states:StartExecution'], resources: [this.stateMachineArn] }),
        new iam.PolicyStatement({ actions: ['states:DescribeExecution', 'states:StopExecution'], resources: executions }),
      ],
    });
    const reason = 'Step Functions names the executions of batches; all are of this machine.';
    for (const arn of executions) acknowledgeWildcard(policy, { arn, reason });
  }

  private executionArn(resourceName: string): string {
    const arnFormat = ArnFormat.COLON_RESOURCE_NAME;
    return Stack.of(this).formatArn({ service: 'states', resource: 'execution', resourceName, arnFormat });
  }
}

import { Names, RemovalPolicy } from 'aws-cdk-lib';
import * as logs from 'aws-cdk-lib/aws-logs';
import * as sfn from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';

/** A Standard state machine from an ASL file. Failures are logged without the data of the execution (I11). */
export class Workflow extends sfn.StateMachine {
  constructor(scope: Construct, id: string, props: { readonly file: string; readonly substitutions: Record<string, string> }) {
    // The prefix keeps the log group out of CloudWatch Logs' resource policy, which has room for few.
    const logGroup = new logs.LogGroup(scope, `${id}Logs`, {
      logGroupName: `/aws/vendedlogs/states/${Names.uniqueResourceName(scope, { maxLength: 100, separator: '-' })}-${id}`,
      retention: logs.RetentionDays.ONE_MONTH,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    super(scope, id, {
      stateMachineType: sfn.StateMachineType.STANDARD,
      definitionBody: sfn.DefinitionBody.fromFile(props.file),
      definitionSubstitutions: props.substitutions,
      logs: { destination: logGroup, level: sfn.LogLevel.ERROR, includeExecutionData: false },
      tracingEnabled: true,
    });
  }
}

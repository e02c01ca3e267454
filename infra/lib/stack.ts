import { CfnOutput, Stack, type StackProps } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { AutoLabel } from './autolabel.ts';
import type { Console } from './constructs/console.ts';
import { settingsFromContext } from './settings.ts';

/** One deployment of Autolabel: its settings come from the CDK context, its outputs name what clients and tools need. */
export class AutoLabelStack extends Stack {
  readonly autoLabel: AutoLabel;

  constructor(scope: Construct, id: string, props?: StackProps) {
    super(scope, id, props);
    this.autoLabel = new AutoLabel(this, 'AutoLabel', settingsFromContext(this.node));
    const app = this.autoLabel;
    const outputs = {
      ApiUrl: app.apiUrl,
      ...(app.console ? consoleOutputs(app.console) : {}),
      ApiId: app.api.apiId,
      TableName: app.table.tableName,
      BucketName: app.bucket.bucketName,
      StateMachineArn: app.machine.stateMachineArn,
      WebhookQueueUrl: app.webhookQueue.queueUrl,
      WebhookOverflowQueueUrl: app.webhookOverflow.queueUrl,
      DeadLetterQueueUrl: app.deadLetters.queueUrl,
      UploadQueueUrl: app.uploadQueue.queueUrl,
      UploadDeadLetterQueueUrl: app.uploadDeadLetters.queueUrl,
      LostEndsQueueUrl: app.lostEnds.queueUrl,
      SecretsKeyId: app.secretsKey.keyId,
      DashboardName: app.dashboard.dashboardName,
      ...Object.fromEntries(
        Object.entries(app.functions).map(([name, { functionName }]) => [`${capitalized(name)}FunctionName`, functionName]),
      ),
    };
    for (const [name, value] of Object.entries(outputs)) new CfnOutput(this, name, { value });
  }
}

function consoleOutputs({ origin, distribution }: Console): Record<string, string> {
  return { ConsoleUrl: `${origin}/`, ConsoleDistributionDomain: distribution.distributionDomainName };
}

function capitalized(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}

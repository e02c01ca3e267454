import { CfnOutput, Stack, type StackProps } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { AutoLabel } from './autolabel.ts';
import { settingsFromContext } from './settings.ts';

/** One deployment of Autolabel, with its settings from the CDK context, and what people and tools need to know of it. */
export class AutoLabelStack extends Stack {
  readonly autoLabel: AutoLabel;

  constructor(scope: Construct, id: string, props?: StackProps) {
    super(scope, id, props);
    this.autoLabel = new AutoLabel(this, 'AutoLabel', settingsFromContext(this.node));
    const {
      api,
      apiUrl,
      table,
      bucket,
      machine,
      webhookQueue,
      webhookOverflow,
      deadLetters,
      uploadQueue,
      uploadDeadLetters,
      lostEnds,
      secretsKey,
      functions,
    } = this.autoLabel;
    const outputs = {
      ApiUrl: apiUrl,
      ApiId: api.apiId,
      TableName: table.tableName,
      BucketName: bucket.bucketName,
      StateMachineArn: machine.stateMachineArn,
      WebhookQueueUrl: webhookQueue.queueUrl,
      WebhookOverflowQueueUrl: webhookOverflow.queueUrl,
      DeadLetterQueueUrl: deadLetters.queueUrl,
      UploadQueueUrl: uploadQueue.queueUrl,
      UploadDeadLetterQueueUrl: uploadDeadLetters.queueUrl,
      LostEndsQueueUrl: lostEnds.queueUrl,
      SecretsKeyId: secretsKey.keyId,
      ...Object.fromEntries(
        Object.entries(functions).map(([name, { functionName }]) => [`${capitalized(name)}FunctionName`, functionName]),
      ),
    };
    for (const [name, value] of Object.entries(outputs)) new CfnOutput(this, name, { value });
  }
}

function capitalized(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}

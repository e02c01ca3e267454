import { HttpMethod } from 'aws-cdk-lib/aws-apigatewayv2';
import type { AutoLabel } from '../autolabel.ts';
import { ApiFunction } from '../constructs/api-function.ts';
import { fallbackEndpoints } from '../settings.ts';

export class Jobs extends ApiFunction {
  constructor(app: AutoLabel) {
    super(app, 'jobs', {
      description: 'Creates, shows, cancels, retries and undoes jobs',
      environment: {
        STATE_MACHINE_ARN: app.machine.stateMachineArn,
        SAGEMAKER_ENDPOINTS: JSON.stringify(fallbackEndpoints(app.settings)),
      },
    });
    this.route(HttpMethod.POST, '/api/v1/projects/{project}/auto-label');
    this.route(HttpMethod.ANY, '/api/v1/auto-label-jobs');

    this.allow(['dynamodb:GetItem', 'dynamodb:BatchGetItem', 'dynamodb:Query'], app.table.tableArn);
    this.allow(['dynamodb:PutItem', 'dynamodb:UpdateItem', 'dynamodb:DeleteItem'], app.table.tableArn);
    this.allow(['dynamodb:Query'], app.table.indexArn('listing'));
    this.allow(['states:StartExecution'], app.machine.stateMachineArn);
    this.allow(['states:StopExecution'], app.machine.executions);
    this.allowSending(app.webhookQueue, 'WEBHOOK_QUEUE_URL');
  }
}

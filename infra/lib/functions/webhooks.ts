import { HttpMethod } from 'aws-cdk-lib/aws-apigatewayv2';
import type { AutoLabel } from '../autolabel.ts';
import { ApiFunction } from '../constructs/api-function.ts';

export class Webhooks extends ApiFunction {
  constructor(app: AutoLabel) {
    super(app, 'webhooks', {
      description: 'Keeps webhooks and shows their deliveries',
      environment: { SECRETS_KEY_ID: app.secretsKey.keyId },
    });
    this.route(HttpMethod.ANY, '/api/v1/webhooks');
    this.route(HttpMethod.ANY, '/api/v1/webhook-deliveries');

    this.allow(['dynamodb:GetItem', 'dynamodb:BatchGetItem', 'dynamodb:Query'], app.table.tableArn);
    this.allow(['dynamodb:PutItem', 'dynamodb:UpdateItem', 'dynamodb:DeleteItem'], app.table.tableArn);
    this.allow(['dynamodb:Query'], app.table.indexArn('listing'));
    this.allow(['kms:Encrypt', 'kms:Decrypt'], app.secretsKey.keyArn);
    this.allowSending(app.webhookQueue, 'WEBHOOK_QUEUE_URL');
  }
}
